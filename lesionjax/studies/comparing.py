"""The mode `compare`: the finished runs below a directory, side by side and in pairs."""

from __future__ import annotations

import functools
import json
import re
import statistics
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.evaluation import comparison
from lesionjax.evaluation.intervals import DEGENERATE
from lesionjax.evaluation.segmentation import paired_differences
from lesionjax.host import files
from lesionjax.report import compare_page
from lesionjax.report.figures_training import best_record
from lesionjax.report.run_files import Run, number
from lesionjax.runs import additions, assembly, run_directory
from lesionjax.studies.compared_runs import Arm, Scored, check_same, gather, read
from lesionjax.studies.sweeping import is_finished

_CLASSIFY = ('balanced_accuracy', 'macro_f1', 'accuracy', 'macro_auc')
_RARE = 'rare_recall'
_SEGMENT = ('dice', 'threshold_jaccard')


def compare(workdir: str, reference: str = '') -> str:
  """Compares runs on their test images; writes compare.json and compare.html beside them.

  Runs of classifiers that are all named NAME_seedN are compared NAME by NAME: their metrics are
  averaged over the seeds that all have in common, and intervals are over lesions and seeds.

  Args:
    workdir: directory whose sub-directories are runs; what is no finished run is left out.
    reference: name that the others are held against; '' is the first by name.

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
  scored = [read(path) for path in finished]
  for other in scored[1:]:
    check_same(scored[0], other)
  arms, single = gather(scored)
  arm_names = [arm.name for arm in arms]
  if reference and reference not in arm_names:
    raise UserError(f'--reference={reference} is not one of the runs {", ".join(arm_names)}.')
  held = arms[arm_names.index(reference)] if reference else arms[0]
  unfinished = [path.name for path in places if path.name not in names]
  begun = [name for name in unfinished if (folder / name / 'config.json').exists()]
  rows, differences = _measure(arms, held)
  found = {
    **_describe(held),
    'left_out': sorted([*begun, *single], key=_natural),
    'runs': rows,
    'differences': differences,
    'pictures': _pictures(arms),
  }
  files.write_json(folder / 'compare.json', found)
  report = compare_page.write(folder, found)
  return f'{compare_page.text(found)}\nReport: {report}'


def _pictures(arms: Sequence[Arm]) -> dict[str, str]:
  """The first run of every arm that kept what its strategy adds, by the arm's name."""
  runs = {
    arm.name: [
      each.name
      for each in arm.runs
      if any((each.run.directory / name).exists() for name in additions.FILES)
    ]
    for arm in arms
  }
  return {name: kept[0] for name, kept in runs.items() if kept}


def _natural(name: str) -> list[tuple[str, int]]:
  """Sorts by name, and row2 before row10."""
  return [(text, int(part or -1)) for text, part in re.findall(r'(\D*)(\d*)', name)]


def _describe(arm: Arm) -> dict[str, Any]:
  held = arm.first
  data = held.run.data
  binary = not held.segments and len(held.class_names) == 2
  rare = [] if held.segments else rare_classes(_training_support(held))
  recalls = [] if held.segments else [f'recall/{name}' for name in held.class_names]
  return {
    'task': 'segment' if held.segments else 'classify',
    'data': '/'.join(str(data[key]) for key in ('name', 'config') if data.get(key)),
    'split': held.split,
    'images': len(held.ids),
    'groups': len(np.unique(held.groups)),
    'class_names': list(held.class_names),
    'support': np.bincount(held.labels, minlength=len(held.class_names)).tolist(),
    'positive': held.class_names[1] if binary else None,
    'reference': arm.name,
    'seeds': list(arm.seeds),
    'compared': list(_SEGMENT if held.segments else _CLASSIFY),
    'rare': [held.class_names[label] for label in rare],
    'recalls': [_RARE, *recalls] if rare else recalls,
  }


def rare_classes(support: Sequence[int]) -> list[int]:
  """The third of the classes, rounded down, that has the fewest images; the first of equals.

  Args:
    support: images of every class, [K].

  Returns:
    Their numbers, in order; none of two classes.
  """
  order = sorted(range(len(support)), key=lambda label: support[label])
  return sorted(order[: len(support) // 3])


def _training_support(held: Scored) -> list[int]:
  """Training images of every class; of the test split where the run does not tell."""
  split = str(held.run.option('data.train_split', 'train'))
  told = ((held.run.data.get('splits') or {}).get(split) or {}).get('support') or {}
  if all(name in told for name in held.class_names):
    return [int(told[name]) for name in held.class_names]
  return np.bincount(held.labels, minlength=len(held.class_names)).tolist()


def _measure(arms: Sequence[Arm], held: Arm) -> tuple[list[dict], list[dict]]:
  """Returns a row for every arm, and every arm but one - that one, on the same images."""
  resamples = int(held.first.run.option('evaluate.resamples', 1000))
  if held.first.segments:
    rows = [_row(arm.first, arm.name) for arm in arms]
    pairs = {
      arm.name: _mask_differences(held.first, arm.first, resamples) for arm in arms if arm != held
    }
    return rows, [_pair(arm, held, pairs[arm.name]) for arm in arms if arm is not held]
  told = _describe(held)
  compared, rare = (*told['compared'], *told['recalls']), told['rare']
  ours = _resample(held, resamples, rare)
  rows, differences = [], []
  for arm in arms:
    theirs = ours if arm is held else _resample(arm, resamples, rare)
    row = _row_of_seeds(arm, theirs) if arm.seeds else _row(arm.first, arm.name)
    if rare:
      row['metrics'][_RARE] = theirs.interval(_RARE)
    rows.append(row)
    if arm is not held:
      differences.append(_pair(arm, held, comparison.paired_differences(theirs, ours, compared)))
  return rows, differences


def _row(scored: Scored, name: str) -> dict[str, Any]:
  """What one run reached and what it cost; a number that is not known is None."""
  run, metrics = scored.run, dict(scored.run.metrics[scored.split])
  counted = {name: metrics.pop(name, None) for name in ('lesion_missing', 'lesion_at_border')}
  wall, peak = run.environment.get('wall_s') or {}, run.environment.get('peak_memory_mb')
  width = run.option('data.size_px')
  return {
    'name': name,
    'best_phase': (best_record(run) or {}).get('phase'),
    'model': run.option('model.name'),
    'width_px': width,
    'height_px': run.option('data.height_px') or width,
    'protocol': run.option('protocol'),
    'lesion': run.option('data.lesion', 'none'),
    **{name: round(s['value'] * s['n']) if s else None for name, s in counted.items()},
    'masks_ms': number((run.data.get('masks') or {}).get('ms_per_image')),
    'parameters': _parameters(run, len(scored.class_names)),
    'train_wall_s': number(wall.get('train')),
    'evaluate_wall_s': number(wall.get('evaluate')),
    'peak_memory_mb': number(peak),
    'metrics': metrics,
  }


def _row_of_seeds(arm: Arm, measured: comparison.Resampled) -> dict[str, Any]:
  """The same of several seeds: mean metrics, mean times, largest memory."""
  rows = [_row(each, arm.name) for each in arm.runs]
  metrics = {
    name: _interval_of_seeds(measured.interval(name), [row['metrics'][name] for row in rows])
    for name in rows[0]['metrics']
    if name in measured.point
  }
  means = {
    name: statistics.fmean(row[name] for row in rows)
    for name in ('train_wall_s', 'evaluate_wall_s')
  }
  peak = max(row['peak_memory_mb'] for row in rows)
  phases = [str(row['best_phase']) for row in rows if row['best_phase']]
  best = {'best_phase': ', '.join(dict.fromkeys(phases)) or None}
  return {**rows[0], **means, **best, 'peak_memory_mb': peak, 'metrics': metrics}


def _interval_of_seeds(entry: dict[str, Any], own: Sequence[dict[str, Any]]) -> dict[str, Any]:
  """The interval of a mean; where no draw differs (all seeds 0 or 1) that of a single seed."""
  alike = entry['low'] is not None and entry['high'] - entry['low'] < DEGENERATE
  alike = alike and all(each['value'] == own[0]['value'] for each in own)
  return {**entry, 'low': own[0]['low'], 'high': own[0]['high']} if alike and own[0] else entry


def _pair(arm: Arm, held: Arm, found: dict[str, Any]) -> dict[str, Any]:
  told = {name: {**entry, 'verdict': comparison.verdict(entry)} for name, entry in found.items()}
  # McNemar's test is about two classifiers; that of several seeds would be one of each pair.
  test = None if arm.seeds else comparison.mcnemar(_right(arm.first), _right(held.first))
  return {'name': arm.name, 'differences': told, 'mcnemar': test}


def _resample(arm: Arm, resamples: int, rare: Sequence[str]) -> comparison.Resampled:
  drawn = []
  for each in arm.runs:
    assert each.probabilities is not None
    found = comparison.resample(
      each.labels, each.probabilities, each.groups, each.class_names, resamples
    )
    recalls = [f'recall/{name}' for name in rare]
    drawn.append(comparison.with_mean(found, _RARE, recalls) if rare else found)
  return comparison.over_seeds(drawn)


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
