"""Two classifiers on the same images: paired differences with intervals, and McNemar's test.

What makes an image hard makes it hard for both, so that differences are known far better than the
two numbers they are between: intervals that overlap do not mean that nothing differs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from data_builders.errors import UserError
from lesionjax.evaluation import intervals, metrics

BETTER, WORSE, UNDECIDED = 'better', 'worse', 'no difference shown'


@dataclasses.dataclass(frozen=True)
class Resampled:
  """Every metric of one classifier, on the whole sample and on resamples of its groups.

  Attributes:
    point: metric to value; nan is undefined.
    drawn: metric to float64 [R].
    groups: number of groups G.
    images: number of images N.
  """

  point: dict[str, float]
  drawn: dict[str, np.ndarray]
  groups: int
  images: int

  def interval(self, name: str) -> intervals.Interval:
    """Returns a metric with its 95 % interval; None where it is undefined."""
    value = self.point[name]
    limits = None
    if self.groups > 1 and not math.isnan(value):
      limits = intervals.percentiles(self.drawn[name])
    low, high = limits or (None, None)
    return {
      'value': None if math.isnan(value) else value, 'low': low, 'high': high, 'n': self.images
    }  # fmt: skip


def resample(
  labels: np.ndarray,
  probabilities: np.ndarray,
  groups: np.ndarray,
  class_names: Sequence[str],
  resamples: int = 1000,
  seed: int = 0,
) -> Resampled:
  """Measures a classifier under the draws that every other one with these groups and seed gets.

  Args:
    labels: int [N], 0..K-1.
    probabilities: float [N, K], 0..1.
    groups: [N] ids; images of one group are drawn together.
    class_names: K names.
    resamples: number R of bootstrap resamples.
    seed: of the resampling.

  Returns:
    The metrics of `metrics.resampled_metrics`.

  Raises:
    UserError: the arrays do not fit together, are empty, or hold values that are not finite.
  """
  labels, probabilities = metrics.check_predictions(labels, probabilities, class_names)
  names, index = np.unique(np.asarray(groups), return_inverse=True)
  if index.shape != labels.shape:
    raise UserError(
      f'groups have shape {np.shape(groups)} but labels {labels.shape}: give one group id an image.'
    )
  whole = np.ones((1, len(names)), np.uint16)
  point = metrics.resampled_metrics(labels, probabilities, index, whole, class_names)
  weights = intervals.group_weights(len(names), resamples, seed)
  drawn = metrics.resampled_metrics(labels, probabilities, index, weights, class_names)
  values = {name: float(value[0]) for name, value in point.items()}
  return Resampled(values, drawn, len(names), len(labels))


def with_mean(measured: Resampled, name: str, of: Sequence[str]) -> Resampled:
  """Adds the mean of some metrics as another one, draw by draw.

  Args:
    measured: of one classifier.
    name: of the new metric.
    of: metrics that are averaged; undefined where one of them is.
  """
  point = float(np.mean([measured.point[each] for each in of]))
  drawn = np.mean([measured.drawn[each] for each in of], axis=0)
  return dataclasses.replace(
    measured, point={**measured.point, name: point}, drawn={**measured.drawn, name: drawn}
  )


def over_seeds(runs: Sequence[Resampled], seed: int = 0) -> Resampled:
  """Averages the runs of one way of training that differ in their seed alone.

  A draw takes the same groups in every run, as each of them does, and the runs themselves with
  replacement: its metric is the mean over the runs that were drawn. With few seeds that tells too
  little of how much a seed changes (of S seeds the variance is short by a factor of (S - 1) / S).

  Args:
    runs: measured on the same draws, in the order of their seeds.
    seed: of the draws of runs; the same for all that are compared, so that pairs stay pairs.

  Returns:
    Means over the runs; with one run, that run.

  Raises:
    UserError: the runs were not measured on the same draws.

  References:
    Two-stage bootstrap: Davison and Hinkley, Bootstrap Methods and their Application (1997), 3.8.
  """
  if len(runs) == 1:
    return runs[0]
  for other in runs[1:]:
    _check_alike(runs[0], other)
  rng = np.random.default_rng((seed, len(runs)))
  chosen = rng.integers(len(runs), size=(len(runs), _draws(runs[0])))  # [S, R]
  point = {name: float(np.mean([run.point[name] for run in runs])) for name in runs[0].point}
  drawn = {}
  for name in runs[0].drawn:
    values = np.stack([run.drawn[name] for run in runs])
    drawn[name] = np.take_along_axis(values, chosen, 0).mean(0)
  return Resampled(point, drawn, runs[0].groups, runs[0].images)


def paired_differences(
  first: Resampled, second: Resampled, names: Sequence[str]
) -> dict[str, intervals.Interval]:
  """Differences first - second of some metrics, paired, with 95 % intervals.

  The interval is that of the percentile bootstrap over groups (see `intervals`); of several
  comparisons each has its own 5 % of chance, there is no correction.

  Args:
    first: one classifier.
    second: another, on the same images in the same order, with the same seed.
    names: of metrics.

  Returns:
    Metric to {'value', 'low', 'high', 'n'}; None where a metric is undefined, and for the limits
    also with a single group.

  Raises:
    UserError: the two were not measured on the same draws.
  """
  _check_alike(first, second)
  found: dict[str, intervals.Interval] = {}
  for name in names:
    point = {name: first.point[name] - second.point[name]}
    drawn = {name: first.drawn[name] - second.drawn[name]}
    found[name] = Resampled(point, drawn, first.groups, first.images).interval(name)
  return found


def verdict(difference: intervals.Interval) -> str:
  """'better' where the interval lies above 0, 'worse' below, else 'no difference shown'."""
  low, high = difference['low'], difference['high']
  if low is not None and low > 0:
    return BETTER
  return WORSE if high is not None and high < 0 else UNDECIDED


def mcnemar(first: np.ndarray, second: np.ndarray) -> dict[str, float | int]:
  """Exact two-sided McNemar test of two classifiers' correct images.

  Among the images that only one of them gets right, each would be ahead in half if they were
  equally accurate: p = min(1, 2 P(B <= min(b, c))) with B ~ Binomial(b + c, 1/2). Images count as
  independent; those of one lesion are not, so that p is somewhat too small where there are many.

  Args:
    first: bool [N], whether one classifier is right.
    second: the other, on the same images.

  Returns:
    b: images only the first gets right; c: only the second; p: 1 where there are neither.

  Raises:
    UserError: the numbers of images differ.

  References:
    McNemar, Psychometrika 12 (1947); the exact test: Mosteller, Biometrics 8 (1952).
  """
  from scipy.stats import binomtest

  first, second = np.asarray(first, bool), np.asarray(second, bool)
  if first.shape != second.shape:
    raise UserError(
      f'One classifier was measured on {len(first)} images, the other on {len(second)}: give the'
      ' same images in the same order.'
    )
  b, c = int((first & ~second).sum()), int((second & ~first).sum())
  p = float(binomtest(min(b, c), b + c, 0.5).pvalue) if b + c else 1.0
  return {'b': b, 'c': c, 'p': p}


def _check_alike(first: Resampled, second: Resampled) -> None:
  shape = (first.images, first.groups, _draws(first))
  other = (second.images, second.groups, _draws(second))
  if shape != other:
    raise UserError(
      f'One classifier was measured on {shape[0]} images of {shape[1]} groups with {shape[2]}'
      f' resamples, the other on {other[0]} of {other[1]} with {other[2]}: measure both alike.'
    )


def _draws(measured: Resampled) -> int:
  return len(next(iter(measured.drawn.values())))
