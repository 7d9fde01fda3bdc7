"""The flags of main.py beside mode, configuration and directory, and which go together."""

from __future__ import annotations

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from data_builders.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
  """The flags beside mode, configuration and directory.

  Attributes:
    eval_data: see `evaluate`, and `experiment.masks`.
    eval_split: see `evaluate`.
    data_dir: see `evaluate`.
    lesion: see `evaluate`.
    lesion_masks: see `evaluate`.
    out: see `experiment.masks` and the other modes that write elsewhere.
    cross_fit: see `experiment.masks`.
    recipe: for 'sweep', the flag that holds the configuration.
    sweep_index: see `sweeping.sweep`.
    reference: see `comparing.compare`.
    images: see `predicting.predict`.
    segmenter: see `predicting.predict`.
    overlays: see `predicting.predict`.
    tta: see `runs.tta`.
    per_class: see `generation_writing.write`.
    latent_seed: see `generation_writing.write`.
    dry_run: whether to describe the run only.
    profile: see `experiment.train`.
    distributed: whether this is one of several processes.
  """

  eval_data: str = ''
  eval_split: str = ''
  data_dir: str = ''
  lesion: str = ''
  lesion_masks: str = ''
  out: str = ''
  cross_fit: int = 0
  recipe: Any = None
  sweep_index: int | None = None
  reference: str = ''
  images: str = ''
  segmenter: str = ''
  overlays: bool = True
  tta: str = 'none'
  per_class: str = ''
  latent_seed: int = 0
  dry_run: bool = False
  profile: bool = False
  distributed: bool = False


FLAGS = tuple(field.name for field in dataclasses.fields(Options) if field.name != 'recipe')

# Flag -> the modes that it goes with; the others go with all that train or evaluate.
_MODES_OF = {
  'eval_data': ('evaluate', 'masks'),
  'eval_split': ('evaluate',),
  'data_dir': ('evaluate', 'masks'),
  'lesion': ('evaluate',),
  'lesion_masks': ('evaluate',),
  'out': ('evaluate', 'predict', 'export', 'masks', 'generate'),
  'images': ('predict',),
  'segmenter': ('predict',),
  'overlays': ('predict',),
  'tta': ('evaluate', 'predict'),
  'per_class': ('generate',),
  'latent_seed': ('generate',),
  'cross_fit': ('masks',),
  'sweep_index': ('sweep',),
  'reference': ('compare',),
  'dry_run': ('train', 'sweep'),
  'profile': ('train', 'sweep'),
}


def check(mode: str, config: ConfigDict | None, workdir: str | None, options: Options) -> None:
  """Refuses flags that do not go together."""
  trains = mode in ('train', 'sweep')
  if trains and config is None:
    raise UserError('--config is missing: give a recipe such as --config=configs/quickstart.py.')
  if not trains and config is not None:
    raise UserError(f'--mode={mode} reads the config of the run: leave --config out.')
  unset = Options()
  for name, modes in _MODES_OF.items():
    value = getattr(options, name)
    if value != getattr(unset, name) and mode not in modes:
      there = ' or '.join(f'--mode={one}' for one in modes)
      hint = '; a run is told its data by --config.data.data_dir' if name == 'data_dir' else ''
      raise UserError(f'--{name}={value} goes with {there}, not with --mode={mode}{hint}.')
  if options.eval_split and not options.eval_data:
    raise UserError(f'--eval_split={options.eval_split} is a split of --eval_data: give that, too.')
  if mode == 'predict' and not (options.images and options.out):
    raise UserError(
      '--mode=predict needs --images, a folder, a pattern or a file, and --out=DIR, where the'
      ' predictions go.'
    )
  if mode == 'export' and not options.out:
    raise UserError('--mode=export needs --out=DIR, where the artefact goes.')
  if mode == 'evaluate':
    _check_average(workdir or '', options)
  if mode == 'masks' and not (options.eval_data and options.out):
    raise UserError(
      '--mode=masks needs --eval_data=NAME, whose images get masks, and --out=FOLDER; --workdir=RUN'
      " names the segmenter, without it Otsu's threshold is taken."
    )
  if mode == 'generate' and not (options.out and options.per_class):
    raise UserError(
      '--mode=generate needs --out=DIR, the data directory it writes, and --per_class=fill, a'
      ' number or CLASS=NUMBER,...: how many images.'
    )
  if mode != 'masks' and workdir is None and not (options.dry_run and mode == 'train'):
    raise UserError('--workdir is missing: give the directory of the run, as --workdir=runs/one.')


def averages(workdir: str, options: Options) -> bool:
  """Whether predictions of several runs, or of views of an image, are to be averaged."""
  return ',' in workdir or options.tta != 'none'


def _check_average(workdir: str, options: Options) -> None:
  """An average is measured on the runs' own splits and written to a place of its own."""
  if not averages(workdir, options):
    if options.out:
      raise UserError(
        f'--out={options.out} with --mode=evaluate is where an average is written: name several'
        ' runs, --workdir=A,B, or views, --tta=flips; one run is reported in its own directory.'
      )
    return
  if not options.out:
    raise UserError('An average of runs or of views needs --out=DIR, where its report goes.')
  for name in ('eval_data', 'lesion', 'lesion_masks'):
    if getattr(options, name):
      raise UserError(
        f'--{name}={getattr(options, name)} does not go with an average, which is measured on the'
        " runs' own splits: leave it out, or evaluate one run at a time."
      )
