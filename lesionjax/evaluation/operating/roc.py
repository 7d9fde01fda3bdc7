"""Sensitivity at a fixed specificity, on the sample's own ROC curve."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionjax.evaluation.operating.rates import Sample, interval

SPECIFICITIES = (80, 90, 95)  # percent

_BLOCK_ELEMENTS = 2_000_000


def sensitivity_at(sample: Sample) -> dict[str, Any]:
  """The best sensitivity among all thresholds whose specificity is at least as given.

  It is what the ROC curve holds, without interpolation. Every resample has a threshold of its own,
  so that the interval holds the choice of it. It is not what a threshold fitted on other images
  reaches: that is `rates.measure`.

  Args:
    sample: scored images.

  Returns:
    '80', '90' and '95' (percent) to {'value', 'low', 'high', 'n'}; None with a 'reason' where
    there is no positive or no negative image.
  """
  positive = sample.truth
  if not positive.any() or positive.all():
    kind = 'positive' if not positive.any() else 'negative'
    none = {'value': None, 'low': None, 'high': None, 'n': int(positive.sum())}
    return {str(percent): none | {'reason': f'no image is {kind}'} for percent in SPECIFICITIES}
  whole = np.ones((1, sample.weights.shape[1]), np.uint16)
  point, drawn = _at(sample, whole), _at(sample, sample.weights)
  groups, count = sample.groups(positive), int(positive.sum())
  return {
    str(percent): interval(float(point[row, 0]), drawn[row], groups, n=count)
    for row, percent in enumerate(SPECIFICITIES)
  }


def _at(sample: Sample, weights: np.ndarray) -> np.ndarray:
  """Float64 [specificities, R]; nan where a resample has no positive or no negative image."""
  order = np.argsort(-sample.scores, kind='stable')
  ranked = sample.scores[order]
  ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(order) - 1)
  groups, positive = sample.group_index[order], sample.truth[order]
  step = max(1, _BLOCK_ELEMENTS // len(order))
  parts = []
  for start in range(0, len(weights), step):
    drawn = np.take(weights[start : start + step], groups, axis=1)
    tp, fp = (np.cumsum(drawn * rows, axis=1, dtype=np.int64) for rows in (positive, ~positive))
    positives, negatives = tp[:, -1], fp[:, -1]
    # Nothing is called positive in front of the first tie.
    tp, fp = (np.pad(count[:, ends], ((0, 0), (1, 0))) for count in (tp, fp))
    known = (positives > 0) & (negatives > 0)
    found = np.full((len(SPECIFICITIES), len(drawn)), np.nan)
    for row, percent in enumerate(SPECIFICITIES):
      allowed = 100 * fp <= (100 - percent) * negatives[:, None]
      best = np.where(allowed, tp, 0).max(axis=1)
      found[row, known] = best[known] / positives[known]
    parts.append(found)
  return np.concatenate(parts, axis=1)
