"""One attribute of the images: every subgroup measured, and whether they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lesionjax.evaluation.subgroups import difference
from lesionjax.evaluation.subgroups.attributes import NOT_RECORDED, order
from lesionjax.evaluation.subgroups.rates import Scored, measure

TESTED = ('sensitivity', 'specificity', 'calibration')
PERMUTATIONS = 2000


def table(
  scored: Scored,
  subgroups: np.ndarray,
  known: Sequence[str],
  bins: int,
  min_count: int,
) -> dict[str, Any]:
  """Measures every subgroup of an attribute.

  Args:
    scored: all images.
    subgroups: str [N].
    known: names in their natural order.
    bins: see `rates.measure`.
    min_count: likewise.

  Returns:
    recorded: images whose subgroup is recorded; subgroups: a row each with name, counts and the
    numbers of `rates.measure`; tests: those of `TESTED` to what `_test` returns.
  """
  names = order(subgroups, known)
  rows = []
  for name in names:
    part = scored.take(subgroups == name)
    positive = part.positive
    rows.append({
      'name': name,
      'images': len(positive),
      'groups': len(np.unique(part.groups)),
      'positives': int(positive.sum()),
      'positive_groups': len(np.unique(part.groups[positive])),
      'negatives': int((~positive).sum()),
      'negative_groups': len(np.unique(part.groups[~positive])),
      **measure(part, bins, min_count),
    })  # fmt: skip
  compared = {
    metric: [row['name'] for row in rows if row[metric] and row['name'] != NOT_RECORDED]
    for metric in TESTED
  }
  return {
    'recorded': int((subgroups != NOT_RECORDED).sum()),
    'subgroups': rows,
    'tests': {metric: _test(scored, subgroups, compared[metric], metric) for metric in TESTED},
  }


def correct(tables: Mapping[str, Mapping[str, Any]]) -> None:
  """Adds `p_holm` to the tests of all attributes: corrected for the number of them of one metric.

  Args:
    tables: attribute to what `table` returned; changed in place.
  """
  for metric in TESTED:
    tests = [found['tests'][metric] for found in tables.values()]
    made = [test for test in tests if test['p'] is not None]
    for test, value in zip(made, difference.holm([test['p'] for test in made]), strict=True):
      test['p_holm'] = value


def _test(
  scored: Scored, subgroups: np.ndarray, names: Sequence[str], metric: str
) -> dict[str, Any]:
  """Whether a number differs between the subgroups that have it.

  Returns:
    compared: how many subgroups; p and p_holm (None where fewer than two); gap: the largest
    difference with its interval, with highest and lowest, the names of both subgroups, or None.
  """
  found: dict[str, Any] = {'compared': len(names), 'p': None, 'p_holm': None, 'gap': None}
  if len(names) < 2:
    return found
  rows = np.isin(subgroups, names)
  if metric != 'calibration':
    rows &= scored.positive == (metric == 'sensitivity')
  part = scored.take(rows)
  values = {
    'sensitivity': part.called,
    'specificity': ~part.called,
    'calibration': part.score - part.positive,
  }[metric]
  number = {name: index for index, name in enumerate(names)}
  labels = np.array([number[name] for name in subgroups[rows].tolist()])
  gap, high, low = difference.largest_gap(values, labels, part.drawn)
  found['p'] = difference.permutation_p(values, labels, part.groups, PERMUTATIONS, seed=0)
  found['gap'] = {**gap, 'highest': names[high], 'lowest': names[low]}
  return found
