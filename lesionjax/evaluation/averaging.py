"""Averaged probabilities of several classifiers or views, held against one classifier alone.

The mean over members of what they say, sum_m p_m / M, is at least as good in log loss as the
members are on average (Jensen's inequality; Lakshminarayanan et al., NeurIPS 2017, section 2.4);
whether it beats the best of them is measured here, pair by pair on the same images.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from data_builders.errors import UserError
from lesionjax.evaluation import comparison, intervals, metrics

COMPARED = ('macro_auc', 'balanced_accuracy', 'accuracy', 'log_loss')
LOWER_IS_BETTER = ('log_loss', 'loss')


@dataclasses.dataclass(frozen=True)
class Way:
  """One way to get probabilities for the same images, measured.

  Attributes:
    metrics: of `COMPARED`, with 95 % intervals.
    gain: way - single, paired, likewise; empty of the single classifier itself.
    verdicts: metric to 'better', 'worse' or 'no difference shown'; likewise.
  """

  metrics: dict[str, intervals.Interval]
  gain: dict[str, intervals.Interval]
  verdicts: dict[str, str]


def mean(probabilities: Sequence[np.ndarray]) -> np.ndarray:
  """Averages probabilities.

  Args:
    probabilities: M float arrays [N, K], rows sum to 1.

  Returns:
    float32 [N, K], rows sum to 1.
  """
  return np.stack(probabilities).mean(0, dtype=np.float64).astype(np.float32)


def best(
  labels: np.ndarray,
  probabilities: Sequence[np.ndarray],
  class_names: Sequence[str],
  metric: str = 'macro_auc',
) -> int:
  """Returns which of M classifiers is best on some images; the first of equals.

  Args:
    labels: int [N], 0..K-1, of validation: images of the test must not choose.
    probabilities: M float arrays [N, K].
    class_names: K names.
    metric: of `metrics`.

  Raises:
    UserError: the metric is undefined for all of them.
  """
  sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
  name = 'log_loss' if metric == 'loss' else metric
  values = [metrics.point_metrics(labels, each, class_names)[name] for each in probabilities]
  if all(math.isnan(value) for value in values):
    raise UserError(
      f'The best member cannot be chosen: {metric} is undefined on the validation images, which'
      ' show too few classes.'
    )
  return int(np.nanargmax(sign * np.array(values)))


def compare(
  labels: np.ndarray,
  ways: dict[str, np.ndarray],
  single: str,
  groups: np.ndarray,
  class_names: Sequence[str],
  resamples: int = 1000,
) -> dict[str, Way]:
  """Measures ways to predict the same images and their differences to one of them.

  Args:
    labels: int [N], 0..K-1.
    ways: name to probabilities float [N, K].
    single: name of the one that the others are held against.
    groups: [N] ids; images of one group are drawn together.
    class_names: K names.
    resamples: number of bootstrap resamples.

  Returns:
    Name to what was measured, in the same order.
  """
  drawn = {
    name: comparison.resample(labels, each, groups, class_names, resamples)
    for name, each in ways.items()
  }
  found = {}
  for name, measured in drawn.items():
    own = {metric: measured.interval(metric) for metric in COMPARED}
    if name == single:
      found[name] = Way(own, {}, {})
      continue
    gain = comparison.paired_differences(measured, drawn[single], COMPARED)
    found[name] = Way(own, gain, {metric: verdict(metric, gain[metric]) for metric in COMPARED})
  return found


def verdict(metric: str, gain: intervals.Interval) -> str:
  """`comparison.verdict` of a difference, the other way round where lower is better."""
  told = comparison.verdict(gain)
  if metric not in LOWER_IS_BETTER:
    return told
  swapped = {comparison.BETTER: comparison.WORSE, comparison.WORSE: comparison.BETTER}
  return swapped.get(told, told)
