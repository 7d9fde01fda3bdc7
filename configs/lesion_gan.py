"""A conditional GAN of skin lesions: generated images of every class, at 64 or 128 px.

Command: python main.py --config=configs/lesion_gan.py --workdir=runs/lesion_gan
  as published:  --config=configs/lesion_gan.py:model=published
  ISIC 2019:     --config=configs/lesion_gan.py:data=isic2019,size=128
  images as the archive has them: --config.data.name=ham10000/grouped
  with a judge:  --config=configs/lesion_gan.py:cleaning=none,judge=fid
    --config.gan.judge=runs/strategies/none_seed0

Images are preprocessed as in configs/isic2019_balance.py, with the same `cleaning`, and so must
those of the judge be, and of every classifier that trains on what is generated: else the look alone
would tell generated from real, and it is refused.

The pair 'projection': conditional batch normalisation, a projection discriminator that sees how
much images differ, cross-entropy with R1, differentiable augmentation, the generator's moving
average. Every class is drawn alike often. 'published' is recipe 1's: label embedding times noise,
label plane, binary cross-entropy, Adam 1e-4, no augmentation, classes as frequent as they are.
Batch sizes are ours. Either trains on training images only; with `judge=METRIC` a classifier that
never saw a generated image measures every epoch on validation and the best by that metric is kept;
without, the newest.

Cost: 1.1 GFLOP an image and step for 'projection', 2.0 for 'published' (64 px).
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import arguments, base
from lesionjax.generation.gan_config import JUDGED
from lesionjax.models.generation.table import GENERATORS

_WIDTHS = ('width', 'discriminator_width')


def get_config(argument: str = '') -> ConfigDict:
  """Returns the configuration.

  Args:
    argument: KEY=VALUE pairs: protocol=rigorous|published, model=projection|published,
      data=ham10000|isic2019, cleaning=hair-clahe|hair|none, size=64|128 (px), epochs,
      judge=latest|fid|kid|judge_recall (what selects the checkpoint; but for the first,
      --config.gan.judge must name a run).
  """
  chosen = arguments.parse(
    'lesion_gan',
    argument,
    {
      'protocol': arguments.PROTOCOLS,
      'model': ('projection', *(name for name in GENERATORS if name != 'projection')),
      'data': ('ham10000', 'isic2019'),
      'cleaning': arguments.CLEANING,
      'size': (64, 128),
      'epochs': 40,
      'judge': ('latest', *JUDGED),
    },
  )
  config = base.get_config()
  config.task = 'generate'
  config.recipe = 'lesion_gan'
  preprocessing = arguments.cleaned(chosen['cleaning'], chosen['protocol'])
  arguments.set_data(config, chosen['data'], chosen['protocol'], preprocessing)
  config.data.size_px = chosen['size']
  config.normalise.mean = config.normalise.std = (0.5, 0.5, 0.5)  # colours in [-1, 1]
  config.model.name = chosen['model']
  config.train.epochs = chosen['epochs']
  config.train.batch_size = 64
  config.optimiser.name = 'adam'
  config.select.metric = chosen['judge']
  config.evaluate.batch_size = 100
  if chosen['model'] == 'published':
    _as_published(config)
    return config
  config.augment.flip_horizontal = config.augment.flip_vertical = True
  config.data.sampling = 'balanced'
  config.train.batch_size = 16  # in a short training updates count more than their precision
  config.optimiser.learning_rate = 2e-4
  config.optimiser.beta1 = 0.0
  config.optimiser.beta2 = 0.99
  config.gan.discriminator_learning_rate = 4e-4
  config.gan.loss = 'bce'
  config.gan.r1 = 0.05
  config.gan.augment = ('translation', 'cutout')  # colour tells lesions apart
  config.train.ema_decay = 0.999
  small = chosen['size'] == 64  # 128 px: 1.5 GFLOP an image and step
  widths = (24, 32) if small else (16, 16)
  config.model.arguments = ConfigDict(dict(zip(_WIDTHS, widths, strict=True)))
  return config


def _as_published(config: ConfigDict) -> None:
  """Adam 1e-4 with beta1 .5 on either side, binary cross-entropy, nothing else."""
  config.optimiser.learning_rate = config.gan.discriminator_learning_rate = 1e-4
  config.optimiser.beta1 = 0.5
  config.gan.loss = 'bce'
  config.gan.augment = ()
