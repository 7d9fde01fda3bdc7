"""HAM10000, frozen ResNet-18 with a new head: system `ham_resnet18_head` of docs/results.md.

Command: python main.py --config=configs/ham_resnet18_head.py --workdir=runs/head
  more of it:   --config=configs/ham_resnet18_head.py:train=last_block   (or train=full)
  from our run: --config=configs/ham_resnet18_head.py:weights=run,size=64 --config.init_from=RUN
  control:      --config=configs/ham_resnet18_head.py:weights=random,size=64
  as published: --config=configs/ham_resnet18_head.py:protocol=published

The text copies images of rare classes until all classes are alike; here every class is drawn alike,
and an epoch is as many images as the split has. Epochs are not given (ours). In the text's code
`requires_grad=False` leaves batch-norm statistics running: the frozen part drifts, which the
published protocol repeats. It describes no validation set: the published protocol chooses on test.

Data: config.data.data_dir, built first where config.data.manual_dir names the official archives.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import arguments, base


def get_config(argument: str = '') -> ConfigDict:
  """Returns the configuration.

  Args:
    argument: KEY=VALUE pairs: protocol=rigorous|published, size (px), epochs,
      train=head|last_block|full, weights=imagenet|run|random.
  """
  chosen = arguments.parse(
    'ham_resnet18_head',
    argument,
    {
      'protocol': arguments.PROTOCOLS,
      'size': 224,
      'epochs': 15,
      'train': ('head', 'last_block', 'full'),
      'weights': arguments.WEIGHTS,
    },
  )
  published = chosen['protocol'] == 'published'
  config = base.get_config()
  config.recipe = 'ham_resnet18_head'
  arguments.set_data(config, 'ham10000', chosen['protocol'])
  arguments.set_weights(config, chosen['weights'])
  if published:
    config.data.train_split = 'train+validation'
    config.data.validation_split = 'test'
  config.data.size_px = chosen['size']
  config.data.sampling = 'balanced'

  augment = config.augment
  augment.flip_horizontal = augment.flip_vertical = True
  augment.rotation_deg = 20.0
  augment.brightness = augment.contrast = 0.1

  config.model.name = 'resnet18'
  with config.unlocked():
    config.model.arguments.head = 'mlp_256'
  config.train.epochs = chosen['epochs']
  config.train.batch_size = 16
  config.optimiser.name = 'adam'
  config.optimiser.learning_rate = 1e-3
  config.schedule.name = 'step'
  config.schedule.step_epochs = 7
  config.schedule.step_factor = 0.1
  config.select.metric = 'accuracy' if published else 'balanced_accuracy'
  if chosen['train'] != 'full':
    phase = {'name': chosen['train'], 'trainable': chosen['train']}
    config.phases = ({**phase, 'freeze_batch_stats': not published},)
  return config
