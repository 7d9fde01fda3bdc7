"""The mode `compare`: the finished runs below a directory, side by side and in pairs."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax import assembly, files, run_directory
from lesionjax import config as config_lib
from lesionjax.evaluation import comparison
from lesionjax.evaluation.segmentation import paired_differences
from lesionjax.report import compare_page, mask_files
from lesionjax.report.run_files import Run, number, read_run
from lesionjax.sweeping import is_finished

_CLASSIFY = ('balanced_accuracy', 'macro_auc')
_SEGMENT = ('dice', 'threshold_jaccard')


@dataclasses.dataclass(frozen=True)
class Scored:
  """A finished run and what it said of every test image, in the order of the images' ids.

  Attributes:
    run: its files.
    split: name of the test split.
    ids: <U [N], sorted.
    groups: <U [N].
    labels: int [N].
    class_names: of the labels.
    probabilities: float [N, K] of a classifier; None of a segmenter.
    masks: of a segmenter, float [N] by metric; empty of a classifier.
  """

  run: Run
  split: str
  ids: np.ndarray
  groups: np.ndarray
  labels: np.ndarray
  class_names: tuple[str, ...]
  probabilities: np.ndarray | None
  masks: dict[str, np.ndarray]

  @property
  def name(self) -> str:
    return self.run.directory.name

  @property
  def segments(self) -> bool:
    return self.probabilities is None


def compare(workdir: str, reference: str = '') -> str:
  """Compares runs on their test images; writes compare.json and compare.html beside them.

  Args:
    workdir: directory whose sub-directories are runs; what is no finished run is left out.
    reference: name of the run that the others are held against; '' is the first by name.

  Returns:
    A table to print.

  Raises:
    UserError: fewer than two finished runs, an unknown reference, or runs that were not scored on
      the same images with the same labels.
  """
  folder = run_directory.locate(workdir)
  places = sorted(
    (path for path in (folder.iterdir() if folder.is_dir() else ()) if path.is_dir()),
    key=lambda path: _natural(path.name),
  )
  finished = [path for path in places if is_finished(path)]
  names = [path.name for path in finished]
  if len(names) < 2:
    raise UserError(
      f'--workdir={workdir} holds {len(names)} finished runs ({", ".join(names) or "none"}), in'
      ' directories directly below it: a comparison needs two.'
    )
  if reference and reference not in names:
    raise UserError(f'--reference={reference} is not one of the runs {", ".join(names)}.')
  scored = [_read(path) for path in finished]
  for other in scored[1:]:
    _check_same(scored[0], other)
  held = scored[names.index(reference)] if reference else scored[0]
  unfinished = [path for path in places if path.name not in names]
  found = {
    **_describe(held),
    'left_out': [path.name for path in unfinished if (path / 'config.json').exists()],
    'runs': [_row(each) for each in scored],
    'differences': _differences(held, [each for each in scored if each is not held]),
  }
  files.write_json(folder / 'compare.json', found)
  report = compare_page.write(folder, found)
  return f'{compare_page.text(found)}\nReport: {report}'


def _natural(name: str) -> list[tuple[int, str]]:
  """Sorts row2 before row10."""
  return [(int(part or 0), text) for text, part in re.findall(r'(\D*)(\d*)', name)]


def _read(place: epath.Path) -> Scored:
  run = read_run(place)
  split = str(run.option('data.test_split', 'test'))
  found: Any = run.predictions.get(split)
  if run.option('task') == 'segment':
    found = mask_files.read_predictions(run, split)
  if found is None or split not in run.metrics:
    raise UserError(
      f'{place} has no predictions of its test split {split!r}: evaluate the run again.'
    )
  order = np.argsort(found.image_ids)
  probabilities = getattr(found, 'probabilities', None)
  masks = getattr(found, 'network', {})
  return Scored(
    run,
    split,
    found.image_ids[order],
    found.group_ids[order],
    found.labels[order],
    found.class_names,
    None if probabilities is None else probabilities[order],
    {name: values[order] for name, values in masks.items()},
  )


def _check_same(one: Scored, other: Scored) -> None:
  """Refuses runs whose numbers are not about the same images."""
  pair = f'{one.name} and {other.name}'
  if one.segments != other.segments:
    raise UserError(
      f'{pair}: one finds lesions and the other names classes: compare runs of a task.'
    )
  if one.class_names != other.class_names:
    raise UserError(
      f'{pair} know other classes ({", ".join(one.class_names)}; {", ".join(other.class_names)}):'
      ' compare runs with the same config.data.classes.'
    )
  if not np.array_equal(one.ids, other.ids):
    both = len(np.intersect1d(one.ids, other.ids))
    raise UserError(
      f'{pair} were scored on other images: {len(one.ids):,} and {len(other.ids):,}, of which'
      f' {both:,} are the same; compare runs with the same data set and test split.'
    )
  for what, ours, theirs in (
    ('label', one.labels, other.labels),
    ('lesion or patient', one.groups, other.groups),
  ):
    odd = np.flatnonzero(ours != theirs)
    if len(odd):
      raise UserError(
        f'{pair} were told another {what} for {len(odd):,} of {len(one.ids):,} test images, such as'
        f' {one.ids[odd[0]]}: compare runs of the same version of a data set.'
      )


def _describe(held: Scored) -> dict[str, Any]:
  data = held.run.data
  binary = not held.segments and len(held.class_names) == 2
  return {
    'task': 'segment' if held.segments else 'classify',
    'data': '/'.join(str(data[key]) for key in ('name', 'config') if data.get(key)),
    'split': held.split,
    'images': len(held.ids),
    'groups': len(np.unique(held.groups)),
    'class_names': list(held.class_names),
    'support': np.bincount(held.labels, minlength=len(held.class_names)).tolist(),
    'positive': held.class_names[1] if binary else None,
    'reference': held.name,
    'compared': list(_SEGMENT if held.segments else _CLASSIFY),
  }


def _row(scored: Scored) -> dict[str, Any]:
  """What one run reached and what it cost; a number that is not known is None."""
  run, metrics = scored.run, dict(scored.run.metrics[scored.split])
  share = metrics.pop('lesion_missing', None)
  wall, peak = run.environment.get('wall_s') or {}, run.environment.get('peak_memory_mb')
  width = run.option('data.size_px')
  return {
    'name': scored.name,
    'model': run.option('model.name'),
    'width_px': width,
    'height_px': run.option('data.height_px') or width,
    'protocol': run.option('protocol'),
    'lesion': run.option('data.lesion', 'none'),
    'lesion_missing': round(share['value'] * share['n']) if share else None,
    'parameters': _parameters(run, len(scored.class_names)),
    'train_wall_s': number(wall.get('train')),
    'evaluate_wall_s': number(wall.get('evaluate')),
    'peak_memory_mb': number(peak),
    'metrics': metrics,
  }


def _differences(held: Scored, others: Sequence[Scored]) -> list[dict[str, Any]]:
  """Every run - the reference, on the same images."""
  resamples = int(held.run.option('evaluate.resamples', 1000))
  if held.segments:
    pairs = [_mask_differences(held, other, resamples) for other in others]
  else:
    ours = _resample(held, resamples)
    pairs = [
      comparison.paired_differences(_resample(other, resamples), ours, _CLASSIFY)
      for other in others
    ]
  right = _right(held)
  rows = []
  for other, found in zip(others, pairs, strict=True):
    told = {name: {**entry, 'verdict': comparison.verdict(entry)} for name, entry in found.items()}
    test = comparison.mcnemar(_right(other), right)
    rows.append({'name': other.name, 'differences': told, 'mcnemar': test})
  return rows


def _resample(scored: Scored, resamples: int) -> comparison.Resampled:
  assert scored.probabilities is not None
  return comparison.resample(
    scored.labels, scored.probabilities, scored.groups, scored.class_names, resamples
  )


def _mask_differences(held: Scored, other: Scored, resamples: int) -> dict[str, Any]:
  first, second = ({name: each.masks[name] for name in _SEGMENT} for each in (other, held))
  return paired_differences(first, second, held.groups, resamples)


def _right(scored: Scored) -> np.ndarray:
  """Which images a run gets right: their class, or the lesion with a Jaccard of .65 at least."""
  if scored.probabilities is None:
    return scored.masks['failure'] == 0
  return scored.probabilities.argmax(1) == scored.labels


def _parameters(run: Run, num_classes: int) -> int | None:
  """Counts a run's parameters; None where its network is not known any more."""
  try:
    config = run_directory.read_config(run.directory)
    kept = {key: config_lib.to_dict(config)[key] for key in ('task', 'model')}
    return _count(json.dumps(kept), config_lib.image_size(config), num_classes)
  except (UserError, KeyError, AttributeError):
    return None


@functools.lru_cache
def _count(text: str, size: tuple[int, int], num_classes: int) -> int:
  model = assembly.make_model(config_lib.from_dict(json.loads(text)), num_classes)
  image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
  variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), image)
  return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
