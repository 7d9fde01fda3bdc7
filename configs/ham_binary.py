"""HAM10000, benign or malignant, ResNet-18, 34 or 50: system `ham_binary` of docs/results.md.

Command: python main.py --config=configs/ham_binary.py:model=resnet34,loss=bce --workdir=runs/binary
  without network: --config=configs/ham_binary.py:weights=random,size=48,epochs=8
  on the lesion:   --config=configs/ham_binary.py:lesion=mask_crop --config.data.lesion_masks=MASKS
    with MASKS from python main.py --mode=masks --eval_data=ham10000 --out=MASKS (by Otsu; by a
    segmenter with --workdir=SEGMENTER), side by side with --mode=compare
  as published:    --config=configs/ham_binary.py:protocol=published

Malignant are melanoma, basal cell carcinoma and AKIEC (19.5 % of the images; ours). Learning rate,
batch, epochs and split are not given in the text (ours). Thresholds other than .5 are chosen on
validation predictions, which every run keeps.

Data: config.data.data_dir, built first where config.data.manual_dir names the official archives.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import arguments, base
from lesionjax.data.lesion import MODES


def get_config(argument: str = '') -> ConfigDict:
  """Returns the configuration.

  Args:
    argument: KEY=VALUE pairs: protocol=rigorous|published, size (px), epochs,
      model=resnet18|resnet34|resnet50, loss=cross_entropy|bce (malignant weighs as many times more
      as it is rarer), hair=keep|remove, weights=imagenet|run|random,
      lesion=none|mask|crop|mask_crop|attention.
  """
  chosen = arguments.parse(
    'ham_binary',
    argument,
    {
      'protocol': arguments.PROTOCOLS,
      'size': 224,
      'epochs': 20,
      'model': ('resnet18', 'resnet34', 'resnet50'),
      'loss': ('cross_entropy', 'bce'),
      'hair': ('keep', 'remove'),
      'weights': arguments.WEIGHTS,
      'lesion': MODES,
    },
  )
  config = base.get_config()
  config.recipe = 'ham_binary'
  cleaning = 'hair17' if chosen['protocol'] == 'published' else 'hair'
  preprocessing = f'stretch256-{cleaning}' if chosen['hair'] == 'remove' else ''
  arguments.set_data(config, 'ham10000', chosen['protocol'], preprocessing)
  arguments.set_weights(config, chosen['weights'])
  config.data.classes = 'binary'
  config.data.size_px = chosen['size']
  config.data.lesion = chosen['lesion']

  augment = config.augment
  augment.flip_horizontal = augment.flip_vertical = True
  augment.rotation_deg = 30.0
  augment.crop_area = (0.7, 1.0)
  augment.crop_aspect = (0.85, 1.18)
  augment.brightness = augment.contrast = augment.saturation = 0.1
  augment.hue = 0.02
  augment.noise_std = 0.02

  config.model.name = chosen['model']
  config.train.loss = chosen['loss']
  if chosen['loss'] == 'bce':
    config.train.pos_weight = 8061 / 1954  # benign / malignant images of HAM10000
  config.train.epochs = chosen['epochs']
  config.train.batch_size = 64
  config.optimiser.name = 'adam'
  # What is drawn has farther to go than what is pretrained.
  config.optimiser.learning_rate = 1e-3 if chosen['weights'] == 'random' else 1e-4
  config.schedule.name = 'cosine'
  config.select.metric = 'auc/malignant'
  return config
