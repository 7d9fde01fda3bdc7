"""What a threshold does to a sample: rates and counts with 95 % intervals.

sensitivity         tp / (tp + fn)
specificity         tn / (tn + fp)
ppv, npv            tp / (tp + fp), tn / (tn + fn): predictive values
accuracy            (tp + tn) / n
f1                  2 tp / (2 tp + fp + fn)
balanced_accuracy   mean of sensitivity and specificity
referred            (tp + fp) / n
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np

from lesionjax.evaluation import intervals

RATES = (
  'sensitivity',
  'specificity',
  'ppv',
  'npv',
  'accuracy',
  'f1',
  'balanced_accuracy',
  'referred',
)
COUNTS = ('tp', 'fp', 'tn', 'fn')

_UNDEFINED = {
  'sensitivity': 'no image is positive',
  'specificity': 'no image is negative',
  'ppv': 'no image reaches the threshold',
  'npv': 'every image reaches the threshold',
  'f1': 'no image is positive or reaches the threshold',
  'balanced_accuracy': 'all images are of one kind',
}


@dataclasses.dataclass(frozen=True)
class Sample:
  """Scored images and the resamples of their groups, drawn once for all that is measured.

  Attributes:
    truth: bool [N], which are positive.
    scores: float64 [N].
    group_index: int [N], 0..G-1.
    weights: unsigned int [R, G], how often each group was drawn.
  """

  truth: np.ndarray
  scores: np.ndarray
  group_index: np.ndarray
  weights: np.ndarray

  @classmethod
  def of(
    cls,
    truth: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    resamples: int = 1000,
    seed: int = 0,
  ) -> Sample:
    """Draws the groups [N] that `evaluation.evaluate` draws with this seed."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    weights = intervals.group_weights(len(names), resamples, seed)
    return cls(np.asarray(truth, bool), np.asarray(scores, np.float64), index, weights)

  @functools.cached_property
  def real_weights(self) -> np.ndarray:
    """Float64 [R, G], for matrix products."""
    return self.weights.astype(np.float64)

  def groups(self, rows: np.ndarray) -> int:
    """Number of groups among the images that bool rows [N] mark."""
    return len(np.unique(self.group_index[rows]))

  def per_group(self, *rows: np.ndarray) -> np.ndarray:
    """Float64 [G, len(rows)]: images of every group that bool rows [N] mark."""
    size = self.weights.shape[1]
    return np.stack([np.bincount(self.group_index, each, minlength=size) for each in rows], axis=1)


def confusion(truth: np.ndarray, scores: np.ndarray, threshold: float) -> tuple[np.ndarray, ...]:
  """Bool [N] each: tp, fp, tn, fn, where score >= threshold calls an image positive."""
  called = scores >= threshold
  return truth & called, ~truth & called, ~truth & ~called, truth & ~called


def measure(sample: Sample, threshold: float) -> dict[str, Any]:
  """Applies a threshold.

  Args:
    sample: scored images.
    threshold: an image is called positive where its score is at least that.

  Returns:
    'threshold', and every name of `RATES` and `COUNTS` to {'value', 'low', 'high', 'n'}: limits are
    the 2.5 and 97.5 percentiles over resamples of groups, Wilson's where all resamples agree; n is
    the number of images in the denominator. What is undefined has None and a 'reason'.
  """
  cells = confusion(sample.truth, sample.scores, threshold)
  point = rates(np.array([[cell.sum() for cell in cells]], np.float64))
  drawn = rates(sample.real_weights @ sample.per_group(*cells))
  called, positive = cells[0] | cells[1], sample.truth
  rests = {
    'sensitivity': positive, 'specificity': ~positive, 'ppv': called, 'npv': ~called,
    'tp': positive, 'fn': positive, 'fp': ~positive, 'tn': ~positive,
  }  # fmt: skip
  rarer = positive if sample.groups(positive) <= sample.groups(~positive) else ~positive
  # Few positives make F1 and balanced accuracy as uncertain as sensitivity is.
  fewest = rests | {'f1': positive, 'balanced_accuracy': rarer}
  everything = np.ones_like(positive)
  found: dict[str, Any] = {'threshold': threshold}
  for name in (*RATES, *COUNTS):
    rows = rests.get(name, everything)
    rest = fewest.get(name, everything)
    scale = float(rows.sum()) if name in COUNTS else 1.0
    found[name] = interval(
      float(point[name][0]), drawn[name], sample.groups(rest), scale, int(rows.sum())
    )
    if found[name]['value'] is None:
      found[name]['reason'] = _UNDEFINED[name]
  return found


def rates(cells: np.ndarray) -> dict[str, np.ndarray]:
  """Every name of `RATES` and `COUNTS` to float64 [R], from counts [R, 4] (tp, fp, tn, fn)."""
  tp, fp, tn, fn = cells.T
  total = cells.sum(1)
  values = {
    'sensitivity': _ratio(tp, tp + fn),
    'specificity': _ratio(tn, tn + fp),
    'ppv': _ratio(tp, tp + fp),
    'npv': _ratio(tn, tn + fn),
    'accuracy': _ratio(tp + tn, total),
    'f1': _ratio(2 * tp, 2 * tp + fp + fn),
    'referred': _ratio(tp + fp, total),
  }
  values['balanced_accuracy'] = (values['sensitivity'] + values['specificity']) / 2
  return values | dict(zip(COUNTS, cells.T, strict=True))


def interval(
  value: float, drawn: np.ndarray, groups: int, scale: float = 1.0, n: int = 0
) -> dict[str, Any]:
  """{'value', 'low', 'high', 'n'} of a rate, or of a count out of `scale`, from its resamples.

  Args:
    value: on the whole sample; nan is undefined.
    drawn: float [R], nan where undefined.
    groups: how many the rate rests on, for Wilson's interval where all resamples agree.
    scale: 1 for a rate, the denominator for a count.
    n: images that it rests on.
  """
  if math.isnan(value):
    return {'value': None, 'low': None, 'high': None, 'n': n}
  limits = intervals.percentiles(drawn)
  if limits is None:
    return {'value': value, 'low': None, 'high': None, 'n': n}
  if limits[1] - limits[0] < intervals.DEGENERATE and scale:
    low, high = intervals.wilson(min(max(value / scale, 0.0), 1.0), max(groups, 1))
    limits = low * scale, high * scale
  return {'value': value, 'low': limits[0], 'high': limits[1], 'n': n}


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
  return np.divide(
    numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0
  )
