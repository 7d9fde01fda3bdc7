"""ISIC 2019, EfficientNet-B2 in two phases: the baseline of `isic2019_balance` in docs/results.md.

Command: python main.py --config=configs/isic2019_balance.py --workdir=runs/balance
  all at once:   --config=configs/isic2019_balance.py:arm=direct
  lesion alone:  --config=configs/isic2019_balance.py:lesion=mask --config.data.lesion_masks=MASKS
  other images:  --config=configs/isic2019_balance.py:cleaning=none   (or cleaning=hair)
  from our run:  --config=configs/isic2019_balance.py:weights=run,size=64 --config.init_from=RUN
  no network:    --config=configs/isic2019_balance.py:arm=direct,weights=random,size=64,epochs=8
  a faster one:  --config=configs/isic2019_balance.py:model=resnet18,weights=random,size=64
  as published:  --config=configs/isic2019_balance.py:protocol=published   (data=ham10000: theirs)
  a strategy:    --config=configs/isic2019_balance.py:strategy=class_weights,steps=equal
  their SMOTE:   --config=configs/isic2019_balance.py:strategy=smote,arm=head,weights=run
    --config.init_from=BASELINE   (both protocols)
  their GAN:     --config=configs/isic2019_balance.py:strategy=cgan,synthetic=IMAGES, the --out of
    python main.py --mode=generate --workdir=GAN --per_class=fill (GAN: configs/lesion_gan.py)
  all of them:   python main.py --mode=sweep --config=configs/isic2019_balance.py:ARGUMENTS
    --workdir=runs/strategies, cgan among them with synthetic=IMAGES only; then
    python main.py --mode=compare --workdir=runs/strategies --reference=none

Images are stretched to 256x256 when the data set is built, then hairs are removed (published: 17x17
blackhat) and the lightness equalised. Two thirds of the epochs train the head on the frozen
backbone at 1e-2, the rest everything at 1e-4; both stop early, and the rate halves on a plateau.

Strategies against imbalance: configs/strategies.py. They are fair to compare with `steps=equal`
(ours, and the sweep's): no early stopping, cosine, chosen by balanced accuracy, hence the same
number of steps for all. `arm=head` is the text's network for oversampled features: 1408 -> 512 ->
256 on the frozen backbone, Adam 1e-3, batch 256, 50 epochs, for every strategy; which epoch is
chosen is ours, and an epoch has the steps of the images that there are.

Of the text's faults the split image by image is reproduced (protocol=published). Not reproduced:
features are filled before they are split into training and validation (here only training images
are filled, in both protocols). Two have an arm of their own: its classifier on generated images
kept the backbone frozen (strategy=cgan,arm=head; else all of it trains), and its masked models were
scored on whole images (--mode=evaluate --workdir=RUN --lesion=none beside the run's own numbers).

Data: config.data.data_dir, built first where config.data.manual_dir names the official archives.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import arguments, base, strategies
from data_builders.errors import UserError
from lesionjax.data.lesion import MODES

SEEDS = range(3)
"""Of every strategy in the sweep."""

MOST_MIXED_PX = 64
"""Larger images than that are not mixed pixel by pixel in the sweep: all lie in memory as float32,
4 GB of HAM10000 at 64x64 and sixteen times as much at 256x256."""

_COMMON = {
  'protocol': arguments.PROTOCOLS,
  'size': 256,
  'epochs': 0,
  'arm': ('two_phase', 'direct', 'head'),
  'cleaning': arguments.CLEANING,
  'data': ('isic2019', 'ham10000'),
  'weights': arguments.WEIGHTS,
  'model': ('efficientnet_b2', 'resnet18'),
  'lesion': MODES,
  'steps': ('text', 'equal'),
  'synthetic': '',
}
_VARIED = {'strategy': strategies.NAMES, 'seed': arguments.Between(0, 0, 2**32 - 1)}


def get_config(argument: str = '') -> ConfigDict:
  """Returns the configuration.

  Args:
    argument: KEY=VALUE pairs: protocol=rigorous|published, size (px), epochs (of all phases: 30,
      with arm=head 50), arm=two_phase|direct|head, cleaning=hair-clahe|hair|none,
      data=isic2019|ham10000, weights=imagenet|run|random,
      model=efficientnet_b2|resnet18, lesion=none|mask|crop|mask_crop|attention (of which the text
      masks), steps=text|equal, strategy (see configs/strategies.py), seed,
      synthetic (a directory of generated images, of strategy=cgan, which it means by itself).
  """
  chosen = arguments.parse('isic2019_balance', argument, {**_VARIED, **_COMMON})
  if chosen['synthetic'] and 'strategy' not in arguments.keys(argument):
    chosen['strategy'] = 'cgan'  # so that a sweep's argument, which names no strategy, is one, too
  epochs = chosen['epochs'] or (50 if chosen['arm'] == 'head' else 30)
  late = strategies.late_epochs(chosen['strategy'], epochs)
  _check(argument, chosen, epochs - late)
  config = base.get_config()
  config.seed = chosen['seed']
  config.recipe = 'isic2019_balance'
  preprocessing = arguments.cleaned(chosen['cleaning'], chosen['protocol'])
  arguments.set_data(config, chosen['data'], chosen['protocol'], preprocessing)
  arguments.set_weights(config, chosen['weights'])
  config.data.size_px = chosen['size']
  config.data.lesion = chosen['lesion']
  config.data.synthetic = chosen['synthetic']

  config.model.name = chosen['model']
  if chosen['weights'] == 'random' and chosen['model'] == 'efficientnet_b2':
    with config.unlocked():
      config.model.arguments.momentum = 0.9  # Keras' .99 outlasts a short run from drawn weights
  # What colour alone tells is the same with every strategy and seed.
  config.evaluate.colour_baseline = (chosen['strategy'], chosen['seed']) == ('none', 0)
  if chosen['arm'] == 'head':
    _train_head(config, epochs - late)
    strategies.apply_frozen(config, chosen['strategy'], late)
    return config
  _train_network(config, chosen, epochs - late)
  strategies.apply(config, chosen['strategy'], late)
  return config


def get_sweep(argument: str = '') -> dict[str, str]:
  """Returns the runs of the study: every strategy with three seeds.

  Args:
    argument: as `get_config` takes it, without strategy and seed; steps=equal unless it says text;
      without synthetic there is no run of cgan.

  Returns:
    Name of the run, such as smote_seed1, to its argument. With arm=head, class_aware is left out:
    crt is the same there; above `MOST_MIXED_PX` smote_pixels is.
  """
  steps = ('equal', 'text')
  chosen = arguments.parse('isic2019_balance', argument, {**_COMMON, 'steps': steps})
  frozen = chosen['arm'] == 'head'
  if frozen:
    del chosen['steps']
  images = chosen.pop('synthetic')
  # Only what is not the default: the names of the keys are few, and the commands short.
  said = [f'{key}={value}' for key, value in chosen.items() if value != _default(key)]
  left_out = {'class_aware'} if frozen else set()
  if chosen['size'] > MOST_MIXED_PX:
    left_out.add('smote_pixels')
  if not images:
    left_out.add('cgan')
  runs = {}
  for name in strategies.NAMES:
    own = [f'synthetic={images}'] if name == 'cgan' else []
    for seed in SEEDS if name not in left_out else ():
      runs[f'{name}_seed{seed}'] = ','.join([f'strategy={name}', f'seed={seed}', *said, *own])
  return runs


def _default(key: str) -> object:
  rule = _COMMON[key]
  return rule[0] if isinstance(rule, tuple) else rule


def _check(argument: str, chosen: dict, epochs: int) -> None:
  """Refuses epochs too few to divide, and what has no effect."""
  where = f'configs/isic2019_balance.py:{argument}'
  if (chosen['strategy'] == 'cgan') != bool(chosen['synthetic']):
    raise UserError(
      f'{where}: strategy=cgan and synthetic=DIR, the --out of --mode=generate, go together: give'
      ' both or neither.'
    )
  least = 2 if chosen['arm'] == 'two_phase' else 1
  if epochs < least:
    raise UserError(
      f'{where}: two phases take two epochs or more, and strategy={chosen["strategy"]} at its end'
      ' one more: give more epochs.'
      if chosen['arm'] == 'two_phase'
      else f'{where}: strategy={chosen["strategy"]} takes two epochs or more.'
    )
  if chosen['arm'] == 'head' and chosen['steps'] == 'equal':
    raise UserError(
      f'{where}: steps=equal has no effect with arm=head, which never stops early: leave it out.'
    )


def _train_head(config: ConfigDict, epochs: int) -> None:
  """The text's network on frozen features, which are computed once."""
  with config.unlocked():
    config.model.arguments.head = 'mlp_512_256'
  config.train.epochs = epochs
  config.train.batch_size = 256
  config.optimiser.name = 'adam'
  config.optimiser.learning_rate = 1e-3
  config.select.metric = 'balanced_accuracy'
  head = {'name': 'head', 'epochs': epochs, 'trainable': 'head', 'cache_features': True}
  config.phases = (head,)


def _train_network(config: ConfigDict, chosen: dict, epochs: int) -> None:
  """Images that vary, and the whole network, with its head first or at once."""
  augment = config.augment
  augment.flip_horizontal = augment.flip_vertical = True
  augment.rotation_deg = 54.0  # .15 of a turn
  augment.translate = 0.1
  augment.contrast = 0.1

  with config.unlocked():
    config.model.arguments.dropout = 0.2
  config.train.epochs = epochs
  config.train.batch_size = 64
  config.optimiser.name = 'adam'
  config.optimiser.learning_rate = 1e-4
  if chosen['steps'] == 'equal':
    config.schedule.name = 'cosine'
    config.select.metric = 'balanced_accuracy'
  else:
    config.schedule.name = 'plateau'
    config.schedule.plateau_factor = 0.5
    config.schedule.plateau_epochs = 5
    config.schedule.plateau_floor = 1e-7
    config.select.metric = 'loss'
    config.select.patience_epochs = 10
  if chosen['weights'] == 'random':
    config.optimiser.learning_rate = 1e-3
  if chosen['arm'] == 'two_phase':
    config.phases = _phases(epochs)


def _phases(epochs: int) -> tuple[dict, ...]:
  """The head alone, then everything from the head's best epoch on."""
  first = min(max(1, round(epochs * 2 / 3)), epochs - 1)
  return (
    {'name': 'head', 'epochs': first, 'trainable': 'head', 'optimiser': {'learning_rate': 1e-2}},
    {'name': 'all', 'epochs': epochs - first, 'start_from': 'best'},
  )
