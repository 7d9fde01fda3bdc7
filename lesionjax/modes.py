"""What main.py is asked for: one function a mode, after its flags were checked together."""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from lesionjax import experiment
from lesionjax.evaluating import evaluate
from lesionjax.generation import generation_writing
from lesionjax.host import allocator, compilation, processes
from lesionjax.options import Options, averages, check
from lesionjax.predicting.export import export
from lesionjax.predicting.predict import predict
from lesionjax.runs.dry_run import describe
from lesionjax.studies import comparing, sweeping
from lesionjax.training.stopping import Interrupted, interrupted_by_sigterm
from lesionjax.trust import parts
from lesionjax.trust.averaging import evaluate_average

_WRITTEN = {'masks': 'Index', 'generate': 'Data set', 'export': 'Description'}


def run(mode: str, config: ConfigDict | None, workdir: str | None, **flags: Any) -> None:
  """Runs a mode of main.py and prints where its report lies.

  Args:
    mode: a mode of main.py.
    config: the recipe; only for 'train' and 'sweep', the others read the run's own.
    workdir: the run's directory; of a sweep and a comparison that of all runs;
      several, joined by commas, where their predictions are averaged.
    **flags: of `Options`.

  Raises:
    UserError: on flags that do not go together, and as the modes do.
  """
  options = Options(**flags)
  check(mode, config, workdir, options)
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
  if mode == 'predict':
    return predict(
      workdir, options.images, options.out, options.segmenter, options.overlays, options.tta
    )
  if mode == 'export':
    return export(workdir, options.out)
  if config is not None:
    return experiment.train(config, workdir, options.profile)
  if averages(workdir, options):
    places = [place for place in workdir.split(',') if place]
    return evaluate_average(places, options.tta, options.out, options.data_dir, parts.WRITERS)
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
