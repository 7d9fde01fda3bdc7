"""Lesion segmentation: U-Net and its peers on ISIC 2018 Task 1 or HAM10000, from scratch.

Command: python main.py --config=configs/lesion_masks.py --workdir=runs/lesion_masks
  another network: --config=configs/lesion_masks.py:model=unetpp
  HAM10000:        --config=configs/lesion_masks.py:data=ham10000,epochs=8
  other sizes:     --config=configs/lesion_masks.py:size=592 --config.data.height_px=448
  as wide as asked: --config=configs/lesion_masks.py:width=32,levels=5
  deep supervision: --config=configs/lesion_masks.py:model=unetpp,deep_supervision=True
  a classifier as the encoder, with ImageNet's weights or without:
    --config=configs/lesion_masks.py:model=unet_encoder,encoder=densenet121,weights=imagenet

Widths 16 to 256, binary cross-entropy + Dice, AdamW 2e-3 in one cycle, flips, quarter turns and a
little colour, averaged weights. Lesions stay on one side of the split; threshold and clean-up are
fitted on validation; Otsu's threshold stands beside every number.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from configs import arguments, base
from data_builders.errors import UserError
from lesionjax.models import MODELS
from lesionjax.models.segmentation.bcdunet import DENSE_BLOCKS, PLACES
from lesionjax.models.segmentation.table import SEGMENTERS, encoder_of

_WIDTH = 16
# Arguments of the models; those that a model has not are refused.
_OF_MODEL = {
  'width': _WIDTH,
  'levels': arguments.Between(4, 2, 8),
  'deep_supervision': (False, True),
  'bconvlstm_at': PLACES,
  'dense_blocks': DENSE_BLOCKS,
  'encoder': ('resnet34', *(n for n, spec in MODELS.items() if spec.family != 'vit')),
}


def get_config(argument: str = '') -> ConfigDict:
  """Returns the configuration.

  Args:
    argument: KEY=VALUE pairs: protocol=rigorous|published, data, size (px), epochs, model,
      weights=random|imagenet, and of the models that have it width, levels, deep_supervision,
      bconvlstm_at, dense_blocks, encoder.
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
      'weights': ('random', 'imagenet'),
      **_OF_MODEL,
    },
  )
  config = base.get_config()
  config.task = 'segment'
  config.recipe = 'lesion_masks'
  arguments.set_data(config, chosen['data'], chosen['protocol'])
  config.data.size_px = chosen['size']

  augment = config.augment
  augment.flip_horizontal = augment.flip_vertical = True
  augment.quarter_turns = True  # a dermatoscope has no upright
  augment.brightness = augment.contrast = augment.saturation = 0.1

  config.model.name = chosen['model']
  config.model.arguments = ConfigDict(_model_arguments(argument, chosen))
  arguments.set_weights(config, chosen['weights'])
  if config.model.pretrained and not encoder_of(chosen['model'], config.model.arguments.to_dict()):
    raise UserError(
      f'configs/lesion_masks.py:{argument}: weights=imagenet are of classifiers: leave it out, or'
      ' take model=unet_encoder.'
    )
  config.train.loss = 'bce_dice'
  config.train.ema_decay = 0.99
  config.train.epochs = chosen['epochs']
  config.train.batch_size = 16
  config.optimiser.name = 'adamw'
  config.optimiser.learning_rate = 2e-3
  config.optimiser.weight_decay = 0.01
  config.schedule.name = 'one_cycle'
  config.select.metric = 'dice'
  config.evaluate.batch_size = 32
  return config


def _model_arguments(argument: str, chosen: dict[str, Any]) -> dict[str, Any]:
  """Those that were given; our width where the model has one.

  Raises:
    UserError: the model has no such argument.
  """
  options = SEGMENTERS[chosen['model']].options
  given = [pair.partition('=')[0].strip() for pair in argument.split(',')]
  found = {'width': _WIDTH} if 'width' in options else {}
  for key in (key for key in _OF_MODEL if key in given):
    if key not in options:
      having = ' or '.join(f'model={name}' for name, s in SEGMENTERS.items() if key in s.options)
      raise UserError(
        f'configs/lesion_masks.py:{argument}: {key} has no effect with model={chosen["model"]}:'
        f' leave it out, or take {having}.'
      )
    found[key] = chosen[key]
  return found
