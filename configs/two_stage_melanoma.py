"""Melanoma from segmented lesions: the ablation `two_stage_melanoma` of docs/results.md.

Command: python main.py --config=configs/two_stage_melanoma.py:row=4 --workdir=runs/two_stage/row4
  with the lesions:  --config.data.lesion_masks=MASKS, a folder that --mode=masks wrote for them
  every row:     python main.py --mode=sweep --config=configs/two_stage_melanoma.py:ARGUMENTS
    --workdir=runs/two_stage --config.data.lesion_masks=MASKS  (one of them: --sweep_index=I)
  side by side:  python main.py --mode=compare --workdir=runs/two_stage --reference=row4
  other images:  data=isic2019 (melanoma against the other classes)
  from our run:  weights=run,size=64 --config.init_from=RUN
  as published:  protocol=published
  other skins:   background=tones (every lesion on skin of a tone that is drawn for it)

The rows of the text's Table 2, DenseNet-121 unless the row says otherwise:

  row  weights that train   sees       what else
    1  head                 original
    2  head                 segmented
    3  all                  original
    4  all                  segmented  the text's best
    5  all                  segmented  one more dense layer of 1024
    6  head, last block     segmented
    7  all                  segmented  augmentation
    8  all                  segmented  learning rate 1e-2
    9  head                 segmented  learning rate 1e-2
   10  all                  segmented  L2 1e-3
   11  all                  segmented  malignant weighs 2 : 1
   12  all                  original   EfficientNet-B0 (of the text's milestone; not in its table)
   13  all                  segmented  weights instead of upsampling (told in its section 3.2)

Segmented: everything outside of the mask black, then the rectangle around the largest contour;
images without one are seen, and scored, whole. The text crops without margin; `margin` sets one,
which shows black and no skin; --config.data.lesion=crop shows the skin. The text's balanced tones
stand behind the lesion where black stood: with background=tones lesions are cut out with the skin
around them, recoloured, and whole images are recoloured too; all of them need masks.
Not in the text: batch (ours 32); which images rows 12 and 13 saw.

Data: config.data.data_dir, built first where config.data.manual_dir names the official archives.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import arguments, base
from data_builders.errors import UserError
from lesionjax.data.lesion import BACKGROUNDS

ROWS = range(1, 14)
MARGINS = (0.1, 0.25, 0.5)
"""Of row 4 in the sweep, beside none."""

_ORIGINAL = (1, 3, 12)
_FROZEN = (1, 2, 9)
# Others / melanomas of the complete sets; those of a subset: --config.train.pos_weight.
_BALANCING_WEIGHT = {'isic2020': 32120 / 581, 'isic2019': 20809 / 4522}
_VARIED = {'row': arguments.Between(4, ROWS[0], ROWS[-1]), 'margin': arguments.Between(0.0, 0, 2)}
_COMMON = {
  'protocol': arguments.PROTOCOLS,
  'data': ('isic2020', 'isic2019'),
  'size': 224,
  'epochs': 15,
  'weights': arguments.WEIGHTS,
  'background': BACKGROUNDS,
}


def get_config(argument: str = '') -> ConfigDict:
  """Returns the configuration.

  Args:
    argument: KEY=VALUE pairs: row=1..13, protocol=rigorous|published, data=isic2020|isic2019,
      size (px), epochs, margin (share of the rectangle's longer side), weights=imagenet|run|random,
      background=none|tones.
  """
  chosen = arguments.parse('two_stage_melanoma', argument, {**_VARIED, **_COMMON})
  row = chosen['row']
  if row in _ORIGINAL and chosen['margin']:
    raise UserError(
      f'configs/two_stage_melanoma.py:{argument}: row {row} sees the whole image, where margin'
      ' has no effect: leave it out.'
    )
  config = base.get_config()
  config.recipe = 'two_stage_melanoma'
  _set_images(config, chosen)
  arguments.set_weights(config, chosen['weights'])
  config.model.name = 'efficientnet_b0' if row == 12 else 'densenet121'
  if row == 12 and chosen['weights'] == 'random':
    with config.unlocked():
      config.model.arguments.momentum = 0.9  # Keras' .99 outlasts a short run from drawn weights
  config.train.epochs = chosen['epochs']
  config.train.batch_size = 32
  config.optimiser.name = 'adam'
  config.optimiser.learning_rate = 1e-3
  config.select.metric = 'balanced_accuracy'
  # What colour alone tells is the same in all rows that see the same images.
  config.evaluate.colour_baseline = row in (1, 4)
  _set_row(config, row, chosen['data'])
  return config


def get_sweep(argument: str = '') -> dict[str, str]:
  """Returns the runs of the ablation: every row, and row 4 with every margin.

  Args:
    argument: as `get_config` takes it, without row and margin, which the sweep varies.

  Returns:
    Name of the run to its argument. With weights=run, row 12 is left out: its network is another,
    so that it needs another run to start from.
  """
  chosen = arguments.parse('two_stage_melanoma', argument, _COMMON)
  rows = [row for row in ROWS if row != 12 or chosen['weights'] != 'run']
  runs = {f'row{row}': f'row={row}' for row in rows}
  runs |= {f'row4_margin{100 * margin:g}': f'row=4,margin={margin:g}' for margin in MARGINS}
  return {name: ','.join(filter(None, (own, argument))) for name, own in runs.items()}


def _set_images(config: ConfigDict, chosen: dict) -> None:
  """Whole images, or lesions cut out."""
  original = chosen['row'] in _ORIGINAL
  # In the text only unsegmented images go through 640x480; here nothing is cut off a whole image,
  # nor where skin is recoloured, since masks lie on the images as they were published.
  toned = chosen['background'] != 'none'
  vga = original and chosen['protocol'] == 'published' and not toned
  arguments.set_data(config, chosen['data'], chosen['protocol'], 'vga224' if vga else '')
  if chosen['data'] == 'isic2019':
    config.data.classes = 'melanoma'
  config.data.size_px = chosen['size']
  config.data.background = chosen['background']
  config.data.sampling = 'balanced'  # malignant images drawn as often as the others
  if not original:
    config.data.lesion = 'crop' if toned else 'mask_crop'
    config.data.lesion_margin = chosen['margin']


def _set_row(config: ConfigDict, row: int, data: str) -> None:
  """What makes a row another than rows 3 and 4."""
  if row in _FROZEN:
    # Without augmentation the frozen network says the same in every epoch: it runs once.
    config.phases = ({'name': 'head', 'trainable': 'head', 'cache_features': True},)
  elif row == 5:
    with config.unlocked():
      config.model.arguments.head = 'mlp_1024'
  elif row == 6:
    config.phases = ({'name': 'last_block', 'trainable': 'last_block'},)
  elif row == 7:
    augment = config.augment
    augment.flip_horizontal = augment.flip_vertical = True
    augment.rotation_deg = 90.0
    augment.scale = (0.8, 1.2)
    augment.shear_deg = 20.0
    augment.border = 'constant'  # black, as what surrounds a segmented lesion
  elif row == 10:
    config.optimiser.weight_decay = 1e-3  # with 'adam' it is added to the gradient: L2
  elif row == 11:
    # Cross-entropy over two logits is the logistic loss of their difference, so that a weight of
    # the class is one of the positives. The text divides by the sum of the weights in the batch, a
    # factor that is constant but for chance, and which Adam's steps do not depend on.
    config.train.loss = 'bce'
    config.train.pos_weight = 2.0
  elif row == 13:
    config.data.sampling = 'uniform'
    config.train.loss = 'bce'
    config.train.pos_weight = _BALANCING_WEIGHT[data]
  if row in (8, 9):
    config.optimiser.learning_rate = 1e-2
