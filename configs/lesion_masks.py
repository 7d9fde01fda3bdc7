"""Lesion segmentation: U-Net and its peers on ISIC 2018 Task 1 or HAM10000, from scratch.

Command: python main.py --config=configs/lesion_masks.py --workdir=runs/lesion_masks
  another network: --config=configs/lesion_masks.py:model=unetpp
  HAM10000:        --config=configs/lesion_masks.py:data=ham10000,epochs=8
  other sizes:     --config=configs/lesion_masks.py:size=592 --config.data.height_px=448
  an encoder with ImageNet's weights:
    --config=configs/lesion_masks.py:model=unet_encoder --config.model.arguments.encoder=densenet121

Widths 16 to 256, binary cross-entropy + Dice, AdamW 2e-3 in one cycle, flips and quarter turns'
worth of rotation. Lesions stay on one side of the split; threshold and clean-up are fitted on
validation; Otsu's threshold stands beside every number.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import arguments, base
from lesionjax.models.segmentation.table import SEGMENTERS


def get_config(argument: str = '') -> ConfigDict:
  """Returns the configuration.

  Args:
    argument: KEY=VALUE pairs: protocol=rigorous|published, data, size (px), epochs, model.
  """
  chosen = arguments.parse(
    'lesion_masks',
    argument,
    {
      'protocol': arguments.PROTOCOLS,
      'data': ('isic2018_task1', 'ham10000'),
      'size': 128,
      'epochs': 30,
      'model': ('unet', *(name for name in SEGMENTERS if name != 'unet')),
    },
  )
  config = base.get_config()
  config.task = 'segment'
  config.recipe = 'lesion_masks'
  arguments.set_data(config, chosen['data'], chosen['protocol'])
  config.data.size_px = chosen['size']

  augment = config.augment
  augment.flip_horizontal = augment.flip_vertical = True
  augment.rotation_deg = 180.0  # a dermatoscope has no upright

  config.model.name = chosen['model']
  if chosen['model'] in ('unet', 'unetpp', 'bcdunet'):
    config.model.arguments = ConfigDict({'width': 16})
  config.train.loss = 'bce_dice'
  config.train.epochs = chosen['epochs']
  config.train.batch_size = 16
  config.optimiser.name = 'adamw'
  config.optimiser.learning_rate = 2e-3
  config.optimiser.weight_decay = 0.01
  config.schedule.name = 'one_cycle'
  config.select.metric = 'dice'
  config.evaluate.batch_size = 32
  return config
