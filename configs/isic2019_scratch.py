"""ISIC 2019, eight classes, a network from scratch, grouped split.

Command: python main.py --config=configs/isic2019_scratch.py --workdir=runs/isic2019_scratch
  other size or network: --config=configs/isic2019_scratch.py:size=128,model=efficientnet_b0
  with ImageNet weights: --config.model.pretrained=imagenet

Rare classes are drawn more often than they occur (square root of their share), and every image is
turned, mirrored and slightly zoomed and tinted anew each time.

The data set is read from config.data.data_dir, and built first where config.data.manual_dir names
the directory of the official archives.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import arguments, base
from lesionjax.models import MODELS


def get_config(argument: str = '') -> ConfigDict:
  """Returns the configuration.

  Args:
    argument: KEY=VALUE pairs: protocol=rigorous|published, size (px), epochs, model.
  """
  chosen = arguments.parse(
    'isic2019_scratch',
    argument,
    {
      'protocol': arguments.PROTOCOLS,
      'size': 96,
      'epochs': 20,
      'model': ('resnet18', *(name for name in MODELS if name != 'resnet18')),
    },
  )
  config = base.get_config()
  config.recipe = 'isic2019_scratch'
  arguments.set_data(config, 'isic2019', chosen['protocol'])
  config.data.classes = 'isic8'
  config.data.size_px = chosen['size']
  config.data.sampling = 'sqrt'

  augment = config.augment
  augment.flip_horizontal = augment.flip_vertical = True
  augment.rotation_deg = 180.0  # a dermatoscope has no upright
  augment.scale = (0.9, 1.15)
  augment.translate = 0.05
  augment.brightness = augment.contrast = augment.saturation = 0.1
  augment.hue = 0.02

  config.model.name = chosen['model']
  config.train.epochs = chosen['epochs']
  config.train.batch_size = 64
  config.train.ema_decay = 0.99
  config.optimiser.name = 'adamw'
  config.optimiser.learning_rate = 2e-3
  config.optimiser.weight_decay = 0.05
  config.schedule.name = 'one_cycle'
  config.select.metric = 'macro_auc'
  return config
