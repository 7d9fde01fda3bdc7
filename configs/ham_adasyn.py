"""HAM10000 at 32x32: a CNN, frozen VGG16, frozen ResNet-50: system `ham_adasyn` of docs/results.md.

Command: python main.py --config=configs/ham_adasyn.py --workdir=runs/cnn
  frozen:       --config=configs/ham_adasyn.py:model=vgg16
  from our run: --config=configs/ham_adasyn.py:model=vgg16,weights=run --config.init_from=RUN
  control:      --config=configs/ham_adasyn.py:model=vgg16,weights=random
  as published: --config=configs/ham_adasyn.py:protocol=published

The text fills the rare classes with ADASYN on raw pixels; here every class is drawn alike instead.
It describes no validation set: the published protocol chooses on the test images, as it must have,
and trains on all others (85 %, the text 80 %). Widths of the dense layers are not given (ours).

Data: config.data.data_dir, built first where config.data.manual_dir names the official archives.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import arguments, base
from data_builders.errors import UserError


def get_config(argument: str = '') -> ConfigDict:
  """Returns the configuration.

  Args:
    argument: KEY=VALUE pairs: protocol=rigorous|published, size (px), epochs (of the text: 25 for
      the CNN, 20 else), model=cnn|vgg16|resnet50, train=head|all (all: a run to start from), and
      for the last two models weights=imagenet|run|random.
  """
  chosen = arguments.parse(
    'ham_adasyn',
    argument,
    {
      'protocol': arguments.PROTOCOLS,
      'size': 32,
      'epochs': 0,
      'model': ('cnn', 'vgg16', 'resnet50'),
      'train': ('head', 'all'),
      'weights': arguments.WEIGHTS,
    },
  )
  if chosen['model'] == 'cnn' and (chosen['train'], chosen['weights']) != ('head', 'imagenet'):
    raise UserError(
      f'configs/ham_adasyn.py:{argument}: train and weights have no effect with model=cnn, which is'
      ' trained whole from drawn weights; leave them out.'
    )
  published = chosen['protocol'] == 'published'
  config = base.get_config()
  config.recipe = 'ham_adasyn'
  arguments.set_data(config, 'ham10000', chosen['protocol'])
  if published:
    config.data.train_split = 'train+validation'
    config.data.validation_split = 'test'
  config.data.size_px = chosen['size']
  config.data.sampling = 'balanced'
  config.model.name = chosen['model']
  config.optimiser.name = 'adam'
  config.optimiser.learning_rate = 1e-3
  config.select.metric = 'accuracy' if published else 'macro_auc'
  config.train.epochs = chosen['epochs'] or (25 if chosen['model'] == 'cnn' else 20)
  if chosen['model'] == 'cnn':
    config.train.batch_size = 8
    return config
  config.train.batch_size = 64
  arguments.set_weights(config, chosen['weights'])
  with config.unlocked():
    config.model.arguments.head = 'mlp_1024'
    if chosen['model'] == 'vgg16':
      config.model.arguments.top = 'pool'  # the dense layers of VGG16 take 224 px
  if chosen['train'] == 'head':
    # Nothing random comes before the head: its features are computed once.
    config.phases = ({'name': 'head', 'trainable': 'head', 'cache_features': True},)
  return config
