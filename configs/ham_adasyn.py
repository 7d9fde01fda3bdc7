"""HAM10000 at 32x32: a CNN, frozen VGG16, frozen ResNet-50: system `ham_adasyn` of docs/results.md.

Command: python main.py --config=configs/ham_adasyn.py --workdir=runs/cnn
  frozen:       --config=configs/ham_adasyn.py:model=vgg16
  from our run: --config=configs/ham_adasyn.py:model=vgg16,weights=run --config.init_from=RUN
  control:      --config=configs/ham_adasyn.py:model=vgg16,weights=random
  as published: --config=configs/ham_adasyn.py:protocol=published
  on features:  --config=configs/ham_adasyn.py:balance=adasyn

The text fills the rare classes with ADASYN on raw pixels, and so does the published protocol. The
rigorous one draws every class alike; balance=adasyn fills them in feature space instead: on those
of a frozen network, or, of the CNN, in the last fifth of the epochs, when its head is drawn anew
(ours). The number of neighbours is not given (ours: 5, the library's). An epoch has the steps of
the images that there are, with all of them (ours; the text's goes over 37,565, four times as many:
epochs=N). It describes no validation set: the published protocol chooses on the test images, as it
must have, and trains on all others (85 %, the text 80 %). Widths of the dense layers: ours.

Data: config.data.data_dir, built first where config.data.manual_dir names the official archives.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import arguments, base, strategies
from data_builders.errors import UserError

BALANCE = ('default', 'adasyn_pixels', 'class_aware', 'adasyn', 'none')
"""'default' is what the protocol has: adasyn_pixels of the published one, class_aware else."""


def get_config(argument: str = '') -> ConfigDict:
  """Returns the configuration.

  Args:
    argument: KEY=VALUE pairs: protocol=rigorous|published, size (px), epochs (of the text: 25 for
      the CNN, 20 else), model=cnn|vgg16|resnet50, train=head|all (all: a run to start from),
      balance=adasyn_pixels|class_aware|adasyn|none, and for the last two models
      weights=imagenet|run|random.
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
      'balance': BALANCE,
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
  config.model.name = chosen['model']
  config.optimiser.name = 'adam'
  config.optimiser.learning_rate = 1e-3
  config.select.metric = 'accuracy' if published else 'macro_auc'
  config.train.epochs = chosen['epochs'] or (25 if chosen['model'] == 'cnn' else 20)
  balance = chosen['balance']
  if balance == 'default':
    balance = 'adasyn_pixels' if published else 'class_aware'
  if chosen['model'] == 'cnn':
    config.train.batch_size = 8
    _balance(config, balance, argument)
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
  _balance(config, balance, argument)
  return config


def _balance(config: ConfigDict, balance: str, argument: str) -> None:
  """Says how the rare classes get their due; call it last."""
  if balance == 'class_aware':
    config.data.sampling = 'balanced'
  elif balance == 'adasyn_pixels':
    config.data.resample, config.data.resample_space = 'adasyn', 'pixels'
  elif balance == 'adasyn' and config.phases:
    config.data.resample = 'adasyn'
  elif balance == 'adasyn':
    late = strategies.late_epochs('adasyn', config.train.epochs)
    if late == config.train.epochs:
      raise UserError(
        f'configs/ham_adasyn.py:{argument}: balance=adasyn of a whole network takes two epochs or'
        ' more.'
      )
    config.train.epochs -= late
    strategies.apply(config, 'adasyn', late, config.optimiser.learning_rate)
