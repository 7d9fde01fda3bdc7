"""The mode `evaluate`: a trained run measured on its own or on other data, and reported."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import jax
from etils import epath
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.data.datasets import preprocessing_of
from lesionjax.data.lesion import Lesion
from lesionjax.data.masks import open_folder
from lesionjax.generation import generation_scoring
from lesionjax.host import environment, files, processes
from lesionjax.masking import mask_scoring
from lesionjax.report.page import write_report
from lesionjax.runs import additions, opened, run_data, run_directory, scoring, two_stage
from lesionjax.trust import parts
from lesionjax.trust import unknown as unknown_classes
from lesionjax.trust.evaluated import Evaluated


def evaluate(
  workdir: str,
  eval_data: str = '',
  data_dir: str = '',
  eval_split: str = '',
  train_wall_s: float | None = None,
  *,
  lesion: str = '',
  lesion_masks: str = '',
) -> str:
  """Evaluates the best checkpoint of a run and writes the report.

  Args:
    workdir: the run's directory.
    eval_data: another data set, NAME or NAME/CONFIG, whose test split is evaluated and whose
      results go to `workdir/external/`; '' is the run's own validation and test.
    data_dir: where prepared data lie now; '' is where the run found its own.
    eval_split: the split of `eval_data`, such as 'official_test'; '' is the test split. Images of
      no class are counted and left out.
    train_wall_s: seconds spent training; None keeps what the run recorded.
    lesion: a mode of `lesionjax.data.lesion`, where another than the run's is wanted; results go to
      `workdir/external/`.
    lesion_masks: a folder of masks, where others than the run's are wanted; likewise.

  Returns:
    The path of report.html; '' in all processes but the first.

  Raises:
    UserError: when the run is not one, or has trained on what it would be tested on.
  """
  start = time.perf_counter()
  run_dir = run_directory.locate(workdir)
  config = two_stage.resolve(run_directory.read_config(run_dir), run_dir)
  if data_dir:
    config.data.data_dir = data_dir
  class_names = run_directory.class_names(run_dir)
  names = [config.data.validation_split, config.data.test_split]
  if eval_data:
    names = [eval_split or config.data.test_split]
    _check_other(config, run_dir, eval_data)
  out_dir = _place(run_dir, eval_data, eval_split, lesion, lesion_masks)
  _look_otherwise(config, run_dir, eval_data, lesion, lesion_masks)
  told = bool(lesion or lesion_masks)
  data = opened.describe(config, run_dir, eval_data, told)
  every = {name: run_data.open_data(config, name, eval_data) for name in names}
  unknown = unknown_classes.unscored(every) if config.task == 'classify' else {}
  splits = {name: opened.scored(split) for name, split in every.items()}
  published = config.protocol == 'published' and not eval_data
  for split in splits.values():
    opened.check_unseen(config, run_dir, split, class_names, published)
  network = opened.network(config, run_dir, class_names)
  outputs = {name: network.outputs(split) for name, split in splits.items()}
  others = {name: network.outputs(split) for name, split in unknown.items()}
  added = _added(config, run_dir) if out_dir == run_dir else {}
  report = ''
  if jax.process_index() == 0:
    new = unknown_classes.gather(config, unknown, others, eval_data)
    evaluated = Evaluated(config, run_dir, out_dir, class_names, splits, outputs, new)
    if out_dir != run_dir:
      files.write_json(out_dir / 'config.json', config_lib.to_dict(config))
      files.write_json(out_dir / 'data.json', data)
    report = _write(evaluated, added, start, train_wall_s)
  processes.wait_for_all('report')  # which the first writes
  return report


def _spent(start: float, train_wall_s: float | None) -> dict[str, float]:
  """Seconds since `start`, and those of the training where they are told."""
  wall_s = {'evaluate': round(time.perf_counter() - start, 1)}
  return wall_s if train_wall_s is None else wall_s | {'train': round(train_wall_s, 1)}


def _write(
  evaluated: Evaluated,
  added: dict[str, dict[str, Any]],
  start: float,
  train_wall_s: float | None,
) -> str:
  """Writes predictions, metrics, of a classifier what is measured beyond them, and the report."""
  out_dir = evaluated.out_dir
  files.write_json(out_dir / 'metrics.json', _measure(evaluated))
  if evaluated.config.task == 'classify':
    parts.write(evaluated)
  additions.write(out_dir, added)
  environment.write(out_dir, _spent(start, train_wall_s))
  return str(write_report(out_dir))


def _place(
  run_dir: epath.Path, eval_data: str, eval_split: str, lesion: str, lesion_masks: str
) -> epath.Path:
  """Where results go: beside the run's own where other data, or another view, are evaluated."""
  view = ['lesion', lesion, _short(lesion_masks)] if lesion or lesion_masks else []
  if not eval_data and not view:
    return run_dir
  parts = [eval_data.replace('/', '_') or 'own', eval_split, *view]
  return run_dir / 'external' / '_'.join(filter(None, parts))


def _short(masks: str) -> str:
  """A name for a folder of masks, 'true' as it is: folders of one name are told apart."""
  if masks in ('', 'true'):
    return masks
  place = str(run_directory.locate(masks))
  return f'{epath.Path(place).name}-{hashlib.sha256(place.encode()).hexdigest()[:6]}'


def _look_otherwise(
  config: ConfigDict, run_dir: epath.Path, eval_data: str, lesion: str, lesion_masks: str
) -> None:
  """Changes what is seen of an image as far as it was told; refuses what was not.

  Raises:
    UserError: the run looks at lesions, and nothing says where they are in the other data set.
  """
  data = config.data
  if (lesion or lesion_masks) and config.task != 'classify':
    raise UserError('--lesion and --lesion_masks say what a classifier sees; this is a segmenter.')
  told = bool(lesion or lesion_masks)
  data.lesion, data.lesion_masks = lesion or data.lesion, lesion_masks or data.lesion_masks
  view = Lesion(data.lesion, data.lesion_masks, data.lesion_margin, data.background)
  if eval_data and view.needs_mask and not told and data.lesion_masks != 'true':
    raise UserError(
      f'{run_dir} was trained with config.data.lesion={view.mode!r} and masks of its own data: give'
      f' --lesion_masks=FOLDER with masks of {eval_data} (see --mode=masks), or say with'
      ' --lesion=none that whole images are meant.'
    )
  if lesion_masks and not view.needs_mask:
    raise UserError(
      f'--lesion_masks={lesion_masks} has no effect on a classifier that sees whole images (lesion'
      f' {view.mode!r}): leave it out, or say what it shall see with --lesion=mask, crop or'
      ' mask_crop.'
    )
  if view.needs_mask and data.lesion_masks != 'true':
    open_folder(data.lesion_masks)


def _measure(evaluated: Evaluated) -> dict[str, Any]:
  """Writes predictions and examples of every split; returns the metrics with intervals."""
  config, run_dir, out_dir = evaluated.config, evaluated.run_dir, evaluated.out_dir
  splits, outputs, class_names = evaluated.splits, evaluated.outputs, evaluated.class_names
  if config.task == 'generate':
    return generation_scoring.score(config, run_dir, splits, outputs, class_names)
  if config.task == 'segment':
    fitted = mask_scoring.read_postprocess(run_dir) if evaluated.validation is None else None
    return mask_scoring.score(config, out_dir, splits, outputs, fitted)
  metrics: dict[str, Any] = {}
  for name, split in splits.items():
    metrics |= scoring.score_split(config, out_dir, split, name, outputs[name], class_names)
  if config.evaluate.colour_baseline:
    fitted = run_data.open_real_training_data(config)  # the generated ones may be gone
    for name, value in scoring.colour_metrics(config, fitted, splits, class_names).items():
      metrics[name]['colour_baseline_auc'] = value
  return metrics


def _check_other(config: ConfigDict, run_dir: epath.Path, eval_data: str) -> None:
  """Refuses data that were preprocessed in another way than those of the training."""
  if config.task == 'generate' and eval_data:
    raise UserError(
      f'--eval_data={eval_data} goes with classifiers and segmenters; {run_dir} is a generator,'
      ' which is measured against its own data.'
    )
  ours, theirs = preprocessing_of(config.data.name), preprocessing_of(eval_data)
  if ours != theirs:
    raise UserError(
      f'--eval_data={eval_data} was built with the preprocessing {theirs.name!r}, the run was'
      f' trained with {ours.name!r}: build and give the configuration that has the same.'
    )


def _added(config: ConfigDict, run_dir: epath.Path) -> dict[str, dict[str, Any]]:
  """What the strategy of a classifier adds to its training images."""
  return (
    additions.collect(config, run_dir, opened.mesh_of(config)) if config.task == 'classify' else {}
  )
