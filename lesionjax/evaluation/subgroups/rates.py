"""How a fixed threshold and the score behind it do in one subgroup."""

from __future__ import annotations

import dataclasses

import numpy as np

from lesionjax.evaluation import intervals, metrics
from lesionjax.evaluation.intervals import Interval


@dataclasses.dataclass(frozen=True)
class Scored:
  """One score an image, and whether it should have been high.

  Attributes:
    positive: bool [N], the truth.
    score: float [N], 0..1, the probability of being positive.
    groups: int [N], 0..G-1, the lesion or patient of every image.
    threshold: a score from here on is called positive.
  """

  positive: np.ndarray
  score: np.ndarray
  groups: np.ndarray
  threshold: float

  def take(self, rows: np.ndarray) -> Scored:
    """Returns some of the images; groups keep their numbers."""
    return dataclasses.replace(
      self, positive=self.positive[rows], score=self.score[rows], groups=self.groups[rows]
    )

  @property
  def called(self) -> np.ndarray:
    """Bool [N], what is called positive."""
    return self.score >= self.threshold


def measure(
  scored: Scored, weights: np.ndarray, bins: int = 15, min_count: int = 10
) -> dict[str, Interval | None]:
  """Measures one subgroup.

  A number that would rest on fewer than `min_count` lesions or patients is None.

  Args:
    scored: the subgroup's images.
    weights: uint [R, G], how often each group is drawn in a resample.
    bins: of the calibration error, with as many images each; fewer where a bin would hold less than
      `min_count` images.
    min_count: smallest number of lesions or patients that a number rests on.

  Returns:
    sensitivity and false_negative_rate: of positives, n their number; Wilson's interval with their
      lesions or patients as sample size.
    specificity: of negatives, likewise.
    calibration: mean score minus share of positives, -1..1; bootstrap over groups.
    ece: expected calibration error of the score, 0..1; likewise. It is above 0 by chance alone.
    auc: area under the ROC curve of the score; likewise, Wilson's where all resamples agree.
  """
  positive, called = scored.positive, scored.called
  enough = [_groups(scored.groups[positive == kind]) >= min_count for kind in (False, True)]
  found: dict[str, Interval | None] = dict.fromkeys(
    ('sensitivity', 'false_negative_rate', 'specificity', 'calibration', 'ece', 'auc')
  )
  if enough[1]:
    found['sensitivity'] = rate(called[positive], scored.groups[positive])
    found['false_negative_rate'] = rate(~called[positive], scored.groups[positive])
  if enough[0]:
    found['specificity'] = rate(~called[~positive], scored.groups[~positive])
  if _groups(scored.groups) >= min_count:
    found |= _calibration(scored, weights, min(bins, max(1, len(positive) // max(min_count, 1))))
  if all(enough):
    found['auc'] = _auc(scored, weights)
  return found


def rate(flags: np.ndarray, groups: np.ndarray) -> Interval:
  """A share of images with Wilson's interval.

  Args:
    flags: bool [N], at least one.
    groups: [N] ids; as many as there are, so many observations are held independent.
  """
  share = float(flags.mean())
  low, high = intervals.wilson(share, _groups(groups))
  return {'value': share, 'low': low, 'high': high, 'n': len(flags)}


def calibration_bins(score: np.ndarray, bins: int) -> np.ndarray:
  """Int [N], the bin of every score: as many images in each; equal scores stay together."""
  edges = np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]) if bins > 1 else np.zeros(0)
  return np.searchsorted(np.unique(edges), score, side='right')


def _calibration(scored: Scored, weights: np.ndarray, bins: int) -> dict[str, Interval]:
  """Bias and calibration error; in a resample bins keep their edges."""
  count = weights.shape[1]
  place = calibration_bins(scored.score, bins)
  size = int(place.max()) + 1
  cell = scored.groups * size + place
  over = np.bincount(cell, scored.score - scored.positive, minlength=count * size)
  images = np.bincount(scored.groups, minlength=count).astype(np.float64)
  drawn = np.concatenate([np.ones((1, count)), weights])  # the sample itself first
  gaps, total = drawn @ over.reshape(count, size), drawn @ images
  scale = np.divide(1.0, total, out=np.full(len(total), np.nan), where=total > 0)
  bias, error = gaps.sum(1) * scale, np.abs(gaps).sum(1) * scale
  n = len(scored.score)
  return {'calibration': bootstrapped(bias, n), 'ece': bootstrapped(error, n)}


def bootstrapped(values: np.ndarray, n: int) -> Interval:
  """An interval of a number: of the sample itself [0] and of its resamples [1:]."""
  low, high = intervals.percentiles(values[1:]) or (None, None)
  value = None if np.isnan(values[0]) else float(values[0])
  return {'value': value, 'low': low, 'high': high, 'n': n}


def _auc(scored: Scored, weights: np.ndarray) -> Interval:
  """Of the score; images of one group are drawn together."""
  whole = np.ones((1, weights.shape[1]), weights.dtype)
  score = scored.score.astype(np.float64)
  values = metrics.resampled_metrics(
    scored.positive.astype(np.int64), np.stack([1 - score, score], 1), scored.groups,
    np.concatenate([whole, weights]), ('negative', 'positive'),
  )['macro_auc']  # fmt: skip
  found = bootstrapped(values, len(score))
  low, high = found['low'], found['high']
  if low is not None and high is not None and high - low < intervals.DEGENERATE:
    rarest = min(_groups(scored.groups[scored.positive == kind]) for kind in (False, True))
    low, high = intervals.wilson(float(values[0]), rarest)
  return {**found, 'low': low, 'high': high}


def _groups(groups: np.ndarray) -> int:
  return len(np.unique(groups))
