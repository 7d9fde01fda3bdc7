"""What main.py is asked for: one function a mode, after its flags were checked together."""

from __future__ import annotations

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax import experiment
from lesionjax.evaluating import evaluate
from lesionjax.generation import generation_writing
from lesionjax.host import allocator, compilation, processes
from lesionjax.runs.dry_run import describe
from lesionjax.studies import comparing, sweeping
from lesionjax.training.stopping import Interrupted, interrupted_by_sigterm


@dataclasses.dataclass(frozen=True)
class Options:
  """The flags beside mode, configuration and directory.

  Attributes:
    eval_data: see `evaluate`, and `experiment.masks`.
    eval_split: see `evaluate`.
    data_dir: see `evaluate`.
    lesion: see `evaluate`.
    lesion_masks: see `evaluate`.
    out: see `experiment.masks`.
    cross_fit: see `experiment.masks`.
    recipe: for 'sweep', the flag that holds the configuration.
    sweep_index: see `sweeping.sweep`.
    reference: see `comparing.compare`.
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
  'out': ('masks', 'generate'),
  'per_class': ('generate',),
  'latent_seed': ('generate',),
  'cross_fit': ('masks',),
  'sweep_index': ('sweep',),
  'reference': ('compare',),
  'dry_run': ('train', 'sweep'),
  'profile': ('train', 'sweep'),
}


_WRITTEN = {'masks': 'Index', 'generate': 'Data set'}


def run(mode: str, config: ConfigDict | None, workdir: str | None, **flags: Any) -> None:
  """Runs a mode of main.py and prints where its report lies.

  Args:
    mode: 'train', 'evaluate', 'masks', 'generate', 'sweep' or 'compare'.
    config: the recipe; only for 'train' and 'sweep', the others read the run's own.
    workdir: the run's directory; of a sweep and a comparison that of all runs.
    **flags: of `Options`.

  Raises:
    UserError: on flags that do not go together, and as the modes do.
  """
  options = Options(**flags)
  _check(mode, config, workdir, options)
  if mode == 'compare':
    print(comparing.compare(workdir or '', options.reference))
    return
  try:
    if mode == 'sweep':
      _sweep(workdir or '', options)
      return
    allocator.keep_freed_memory()
    compilation.keep_compiled()
    if options.distributed:
      processes.start()
    if config is not None and options.dry_run:
      print(describe(config))
      return
    with interrupted_by_sigterm():
      report = _start(mode, config, workdir or '', options)
  except Interrupted as stop:
    print(stop)
    return
  if report:
    print(f'{_WRITTEN.get(mode, "Report")}: {report}')


def _start(mode: str, config: ConfigDict | None, workdir: str, options: Options) -> str:
  if mode == 'masks':
    return experiment.masks(
      workdir, options.eval_data, options.out, options.data_dir, options.cross_fit
    )
  if mode == 'generate':
    return generation_writing.write(workdir, options.out, options.per_class, options.latent_seed)
  if config is not None:
    return experiment.train(config, workdir, options.profile)
  return evaluate(
    workdir,
    options.eval_data,
    options.data_dir,
    options.eval_split,
    lesion=options.lesion,
    lesion_masks=options.lesion_masks,
  )


def _sweep(workdir: str, options: Options) -> None:
  names = ('dry_run', 'profile', 'distributed')
  passed = {name: getattr(options, name) for name in names}
  recipe = sweeping.Recipe.of_flag(options.recipe)
  sweeping.sweep(recipe, workdir, options.sweep_index, passed)


def _check(mode: str, config: ConfigDict | None, workdir: str | None, options: Options) -> None:
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
