"""How a classifier does by skin tone, sex, age, site and source: subgroups.json, records_*.npz."""

from __future__ import annotations

import collections
import json
import time
from typing import Any

import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax.data.metadata import read_metadata
from lesionjax.evaluation.calibration.resampling import Groups
from lesionjax.evaluation.operating import Positive, positive_of
from lesionjax.evaluation.skin import ita, tones
from lesionjax.evaluation.subgroups import attributes
from lesionjax.evaluation.subgroups.rates import Scored, measure
from lesionjax.evaluation.subgroups.table import PERMUTATIONS, correct, table
from lesionjax.evaluation.subgroups.within import Classified, within_source
from lesionjax.host import files
from lesionjax.runs.scoring import write_npz
from lesionjax.trust.evaluated import Evaluated
from lesionjax.trust.tones_of_split import tones_of

POINT = 'sensitivity_90'
"""The operating point of thresholds.json that rates are told at."""

ATTRIBUTES = ('skin', 'tone', 'sex', 'age', 'site', 'source')
_ORDERS = {
  'skin': tuple(name for name, _ in ita.BANDS),
  'tone': tuple(tones.LETTERS),
  'age': attributes.AGE_BANDS,
}


def write(evaluated: Evaluated) -> None:
  """Writes `subgroups.json`, and `records_<split>.npz` with what is known of every image.

  The skin around the lesion costs some ms an image; the rest is a pass over the records and a few
  seconds of resampling. What each took stands in the file.

  Args:
    evaluated: a classifier's outputs; all splits but validation are measured.
  """
  config = evaluated.config.evaluate
  if not config.subgroups:
    return
  threshold, point, name = _threshold(evaluated.run_dir)
  positive = positive_of(name or config.positive, evaluated.class_names)
  splits = {}
  for name in evaluated.measured:
    start = time.perf_counter()
    columns, unmeasured = _columns(evaluated, name)
    read_s = time.perf_counter() - start
    write_npz(evaluated.out_dir / f'records_{name}.npz', **columns)
    found = _measure(evaluated, name, positive, threshold, columns)
    found |= {'unmeasured_skin': unmeasured}
    found['wall_s'] = {
      'read': round(read_s, 1),
      'measure': round(time.perf_counter() - start - read_s, 1),
    }
    splits[name] = found
  files.write_json(
    evaluated.out_dir / 'subgroups.json',
    {
      'positive': positive.name,
      'positive_classes': list(positive.classes),
      'problem': positive.problem,
      'threshold': threshold,
      'point': point,
      'min_count': config.min_count,
      'bins': config.bins,
      'resamples': config.resamples,
      'permutations': PERMUTATIONS,
      'splits': splits,
    },
  )


def _threshold(run_dir: epath.Path) -> tuple[float, str, str]:
  """The run's threshold, the name of its point and of what is positive there.

  Returns:
    One half and two empty names where no threshold was fitted.

  Raises:
    UserError: thresholds.json is damaged.
  """
  path = run_dir / 'thresholds.json'
  if not path.exists():
    return 0.5, '', ''
  try:
    content = json.loads(path.read_text())
    points, positive = content['fitted']['points'], str(content['positive']['name'])
    if POINT not in points:
      return 0.5, '', positive
    return float(points[POINT]['threshold']), POINT, positive
  except (ValueError, KeyError, TypeError) as error:
    raise UserError(
      f'{path} cannot be read ({error}): restore it, or write it again with --mode=evaluate.'
    ) from error


def _columns(evaluated: Evaluated, name: str) -> tuple[dict[str, np.ndarray], dict[str, int]]:
  """What is known of every image of a split, and why how many have no skin tone.

  Returns:
    image_id, group_id, ita_deg, ita_spread_deg (nan where not measured) and what the records hold
    of sex, site, source and age; reason to number of images.
  """
  split = evaluated.splits[name]
  measured = tones_of(split)
  reasons = collections.Counter(tone.reason for tone in measured if tone.ita_deg is None)
  columns = {
    'image_id': split.image_ids,
    'group_id': split.group_ids,
    'ita_deg': _numbers([tone.ita_deg for tone in measured]),
    'ita_spread_deg': _numbers([tone.spread_deg for tone in measured]),
    **read_metadata(split),
  }
  return columns, dict(reasons)


def _numbers(values: list[float | None]) -> np.ndarray:
  return np.array([np.nan if value is None else value for value in values], np.float64)


def _subgroups(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Attribute to the subgroup of every image."""
  found = {
    'skin': attributes.skin_bands(columns['ita_deg']),
    'tone': attributes.skin_tones(columns['ita_deg']),
  }
  if 'age' in columns:
    found['age'] = attributes.age_bands(columns['age'])
  for name in ('sex', 'site', 'source'):
    if name in columns:
      found[name] = attributes.named(columns[name])
  return found


def _measure(
  evaluated: Evaluated,
  name: str,
  positive: Positive,
  threshold: float,
  columns: dict[str, np.ndarray],
) -> dict[str, Any]:
  """Everything that is told of one split."""
  config = evaluated.config.evaluate
  labels, probabilities = evaluated.labels(name), evaluated.probabilities(name)
  drawn = Groups.of(columns['group_id'], config.resamples)
  found: dict[str, Any] = {'images': len(labels), 'groups': len(drawn)}
  subgroups = _subgroups(columns)
  recorded = {
    key: value for key, value in subgroups.items() if (value != attributes.NOT_RECORDED).any()
  }
  found['absent'] = [key for key in ATTRIBUTES if key not in recorded]
  tables = {}
  if not positive.problem:
    truth = positive.truth(labels)
    scored = Scored(truth, positive.score(probabilities), threshold, drawn)
    found['positives'] = int(truth.sum())
    found['overall'] = measure(scored, config.bins, config.min_count)
    for key, value in recorded.items():
      tables[key] = table(scored, value, _ORDERS.get(key, ()), config.bins, config.min_count)
    correct(tables)
  found['attributes'] = tables
  found['within_source'] = None
  if 'source' in recorded:
    names = [n for n in attributes.order(recorded['source']) if n != attributes.NOT_RECORDED]
    classified = Classified(labels, probabilities, evaluated.class_names, drawn)
    found['within_source'] = within_source(classified, recorded['source'], names, config.min_count)
  return found
