"""ISIC 2019, EfficientNet-B2 in two phases: the baseline of `isic2019_balance` in docs/results.md.

Command: python main.py --config=configs/isic2019_balance.py --workdir=runs/balance
  all at once:   --config=configs/isic2019_balance.py:arm=direct
  lesion alone:  --config=configs/isic2019_balance.py:lesion=mask --config.data.lesion_masks=MASKS
  other images:  --config=configs/isic2019_balance.py:cleaning=none   (or cleaning=hair)
  from our run:  --config=configs/isic2019_balance.py:weights=run,size=64 --config.init_from=RUN
  no network:    --config=configs/isic2019_balance.py:arm=direct,weights=random,size=64,epochs=8
  as published:  --config=configs/isic2019_balance.py:protocol=published   (data=ham10000: theirs)

Images are stretched to 256x256 when the data set is built, then hairs are removed (published: 17x17
blackhat) and the lightness equalised. Two thirds of the epochs train the head on the frozen
backbone at 1e-2, the rest everything at 1e-4; both stop early, and the rate halves on a plateau.

Data: config.data.data_dir, built first where config.data.manual_dir names the official archives.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import arguments, base
from data_builders.errors import UserError
from lesionjax.data.lesion import MODES

CLEANING = ('hair-clahe', 'hair', 'none')


def get_config(argument: str = '') -> ConfigDict:
  """Returns the configuration.

  Args:
    argument: KEY=VALUE pairs: protocol=rigorous|published, size (px), epochs (of both phases),
      arm=two_phase|direct, cleaning=hair-clahe|hair|none, data=isic2019|ham10000,
      weights=imagenet|run|random, lesion=none|mask|crop|mask_crop|attention (of which the text
      masks).
  """
  chosen = arguments.parse(
    'isic2019_balance',
    argument,
    {
      'protocol': arguments.PROTOCOLS,
      'size': 256,
      'epochs': 30,
      'arm': ('two_phase', 'direct'),
      'cleaning': CLEANING,
      'data': ('isic2019', 'ham10000'),
      'weights': arguments.WEIGHTS,
      'lesion': MODES,
    },
  )
  if chosen['arm'] == 'two_phase' and chosen['epochs'] < 2:
    raise UserError(f'configs/isic2019_balance.py:{argument}: two phases take two epochs or more.')
  config = base.get_config()
  config.recipe = 'isic2019_balance'
  cleaning = '' if chosen['cleaning'] == 'none' else f'-{chosen["cleaning"]}'
  if chosen['protocol'] == 'published':
    cleaning = cleaning.replace('hair', 'hair17')
  arguments.set_data(config, chosen['data'], chosen['protocol'], f'stretch256{cleaning}')
  arguments.set_weights(config, chosen['weights'])
  config.data.size_px = chosen['size']
  config.data.lesion = chosen['lesion']

  augment = config.augment
  augment.flip_horizontal = augment.flip_vertical = True
  augment.rotation_deg = 54.0  # .15 of a turn
  augment.translate = 0.1
  augment.contrast = 0.1

  config.model.name = 'efficientnet_b2'
  with config.unlocked():
    config.model.arguments.dropout = 0.2
  config.train.epochs = chosen['epochs']
  config.train.batch_size = 64
  config.optimiser.name = 'adam'
  config.optimiser.learning_rate = 1e-4
  config.schedule.name = 'plateau'
  config.schedule.plateau_factor = 0.5
  config.schedule.plateau_epochs = 5
  config.schedule.plateau_floor = 1e-7
  config.select.metric = 'loss'
  config.select.patience_epochs = 10
  if chosen['weights'] == 'random':
    config.optimiser.learning_rate = 1e-3
    with config.unlocked():
      config.model.arguments.momentum = 0.9  # Keras' .99 outlasts a short run from drawn weights
  if chosen['arm'] == 'two_phase':
    config.phases = _phases(chosen['epochs'])
  return config


def _phases(epochs: int) -> tuple[dict, ...]:
  """The head alone, then everything from the head's best epoch on."""
  first = min(max(1, round(epochs * 2 / 3)), epochs - 1)
  return (
    {'name': 'head', 'epochs': first, 'trainable': 'head', 'optimiser': {'learning_rate': 1e-2}},
    {'name': 'all', 'epochs': epochs - first, 'start_from': 'best'},
  )
