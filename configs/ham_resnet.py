"""HAM10000, seven classes, ResNet-18 at 64x64 from scratch, grouped split.

Command: python main.py --config=configs/ham_resnet.py --workdir=runs/ham_resnet
  with class-balanced sampling: --config=configs/ham_resnet.py:balanced

Result on test (two CPU cores shared with two other jobs, 25 minutes; a step alone takes .38 s):
macro AUC .942, balanced accuracy .564; with class-balanced sampling balanced accuracy .667 as mean
of three seeds. With intervals: docs/results.md, system ham_resnet.

The data set is read from config.data.data_dir, and built first where config.data.manual_dir names
the directory of the official archives.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import base
from data_builders.errors import UserError

VARIANTS = ('uniform', 'balanced')


def get_config(variant: str = 'uniform') -> ConfigDict:
  if variant not in VARIANTS:
    raise UserError(f'configs/ham_resnet.py:{variant} is not one of {", ".join(VARIANTS)}.')
  config = base.get_config()
  config.recipe = 'ham_resnet'
  config.data.name = 'ham10000'
  config.data.data_dir = 'data'
  config.data.sampling = variant
  config.data.size_px = 64

  augment = config.augment
  augment.flip_horizontal = augment.flip_vertical = True
  augment.translate = 0.05
  augment.brightness = augment.contrast = 0.05

  config.model.name = 'resnet18'
  config.train.epochs = 12
  config.train.batch_size = 64
  config.train.ema_decay = 0.99
  config.optimiser.name = 'adamw'
  config.optimiser.learning_rate = 1e-3
  config.optimiser.weight_decay = 0.05
  config.schedule.name = 'one_cycle'
  config.select.metric = 'macro_auc'
  if variant == 'balanced':
    _balance(config)
  return config


def _balance(config: ConfigDict) -> None:
  """Draws every class alike; a rare image then comes a dozen times an epoch, so it varies more."""
  augment = config.augment
  augment.rotation_deg = 180.0  # a dermatoscope has no upright
  augment.scale = (0.9, 1.2)
  augment.brightness = augment.contrast = augment.saturation = 0.1
  augment.hue = 0.02
  config.optimiser.learning_rate = 2e-3
  config.select.metric = 'balanced_accuracy'
