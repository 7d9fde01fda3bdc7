"""95 % intervals of every metric: percentile bootstrap over groups, Wilson where it degenerates.

Images of one lesion are not independent, so whole groups are drawn with replacement (cluster
bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lesionjax.evaluation import metrics

_LEVEL = 0.95
Z = 1.959963984540054  # 97.5 % point of the standard normal distribution
DEGENERATE = 1e-12  # a bootstrap interval narrower than this says nothing
_AVERAGES_PER_CLASS = ('balanced', 'macro', 'average')

Interval = dict[str, float | int | None]


def evaluate(
  labels: np.ndarray,
  probabilities: np.ndarray,
  groups: np.ndarray,
  class_names: Sequence[str],
  resamples: int = 1000,
  seed: int = 0,
) -> dict[str, Interval]:
  """Every metric of `metrics` with a 95 % interval and the number of images it rests on.

  Low and high are the 2.5 and 97.5 percentiles over resamples of whole groups. Resamples in which
  a metric is undefined (no image of the class drawn) are left out; where fewer than half remain the
  interval is None. Where all resamples agree although the metric is a fraction (0 of n, n of n, or
  a single group), the interval is Wilson's, with the number of groups as sample size. Support is
  exact: low = high = value. Averages over classes that take each class equally use, for Wilson, the
  groups of the rarest class.

  Args:
    labels: int [N], 0..K-1.
    probabilities: float [N, K], 0..1.
    groups: [N] ids; images of one group are drawn together.
    class_names: K names.
    resamples: Number of bootstrap resamples.
    seed: Seed of the resampling; the same seed gives the same intervals.

  Returns:
    Metric name to {'value', 'low', 'high', 'n'}; value, low and high are None where undefined. n is
    the number of images of the class for per-class metrics, sensitivity and specificity, the number
    predicted as the class for its precision, and N for all others.

  Raises:
    UserError: The arrays do not fit together, are empty, or hold values that are not finite.
  """
  labels, probabilities = metrics.check_predictions(labels, probabilities, class_names)
  names, group_index = np.unique(np.asarray(groups), return_inverse=True)
  if group_index.shape != labels.shape:
    raise metrics.UserError(
      f'groups have shape {np.shape(groups)} but labels {labels.shape}: give one group id an image.'
    )
  whole = np.ones((1, len(names)), np.uint16)
  point = metrics.resampled_metrics(labels, probabilities, group_index, whole, class_names)
  weights = group_weights(len(names), resamples, seed)
  drawn = metrics.resampled_metrics(labels, probabilities, group_index, weights, class_names)
  sizes = _sizes(labels, probabilities.argmax(1), group_index, class_names)
  report: dict[str, Interval] = {}
  for name, value in point.items():
    images, num_groups = sizes(name)
    low, high = _interval(name, float(value[0]), drawn[name], num_groups)
    report[name] = {'value': _json(value[0]), 'low': low, 'high': high, 'n': images}
  return report


def group_weights(num_groups: int, resamples: int, seed: int) -> np.ndarray:
  """How often each group is drawn: uint16 [resamples, num_groups], every row sums to num_groups."""
  rng = np.random.default_rng(seed)
  weights = np.empty((resamples, num_groups), np.uint16)
  for row in weights:  # row by row: the draws of all resamples at once would take gigabytes
    row[:] = np.bincount(rng.integers(num_groups, size=num_groups), minlength=num_groups)
  return weights


def wilson(share: float, n: int) -> tuple[float, float]:
  """95 % score interval of a proportion.

  (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), Wilson, JASA 22 (1927).

  Args:
    share: Observed proportion p, 0..1.
    n: Number of independent observations, at least 1.

  Returns:
    Lower and upper limit, within 0..1.
  """
  centre = share + Z**2 / (2 * n)
  half = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
  scale = 1 + Z**2 / n
  low, high = (centre - half) / scale, (centre + half) / scale
  # The limits at 0 and 1 are exact; rounding must not put the share itself outside.
  return min(max(low, 0.0), share), max(min(high, 1.0), share)


def percentiles(drawn: np.ndarray) -> tuple[float, float] | None:
  """2.5 and 97.5 percentiles of a metric's resamples [R]; None where fewer than half have it."""
  known = drawn[np.isfinite(drawn)]
  if len(known) < max(1, len(drawn) / 2):
    return None
  tail = (1 - _LEVEL) / 2
  low, high = (float(limit) for limit in np.quantile(known, [tail, 1 - tail]))
  return low, high


def _interval(
  name: str, value: float, drawn: np.ndarray, num_groups: int
) -> tuple[float | None, float | None]:
  """Low and high of one metric from its resamples."""
  if math.isnan(value):
    return None, None
  if name.startswith('support/'):
    return value, value
  limits = percentiles(drawn)
  if limits is None:
    return None, None
  if limits[1] - limits[0] < DEGENERATE and name != 'log_loss':
    return wilson(min(max(value, 0.0), 1.0), max(num_groups, 1))
  return limits


def _sizes(
  labels: np.ndarray, predicted: np.ndarray, group_index: np.ndarray, class_names: Sequence[str]
):
  """A function of the metric's name: numbers of (images, groups) that the metric rests on."""

  def count(rows: np.ndarray) -> tuple[int, int]:
    return int(rows.sum()), len(np.unique(group_index[rows]))

  by_label = {name: count(labels == c) for c, name in enumerate(class_names)}
  by_call = {name: count(predicted == c) for c, name in enumerate(class_names)}
  everything = len(labels), len(np.unique(group_index))
  rarest = min((groups for _, groups in by_label.values() if groups), default=1)

  def sizes(metric: str) -> tuple[int, int]:
    kind, _, label = metric.partition('/')
    if label:
      return (by_call if kind == 'precision' else by_label)[label]
    if metric in ('sensitivity', 'specificity'):
      return by_label[class_names[metric == 'sensitivity']]
    if metric.startswith(_AVERAGES_PER_CLASS):
      return everything[0], rarest
    return everything

  return sizes


def _json(value: float) -> float | None:
  """Nan has no place in JSON: undefined is None."""
  return None if math.isnan(value) else float(value)
