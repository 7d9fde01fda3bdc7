"""How a fixed threshold and the score behind it do in one subgroup."""

from __future__ import annotations

import dataclasses

import numpy as np

from lesionjax.evaluation import intervals, metrics
from lesionjax.evaluation.calibration.resampling import Groups, interval, ratio
from lesionjax.evaluation.intervals import Interval


@dataclasses.dataclass(frozen=True)
class Scored:
  """One score an image, and whether it should have been high.

  Attributes:
    positive: bool [N], the truth.
    score: float [N], 0..1, the probability of being positive.
    threshold: a score from here on is called positive.
    drawn: the lesion or patient of every image, and the resamples of these.
  """

  positive: np.ndarray
  score: np.ndarray
  threshold: float
  drawn: Groups

  @property
  def groups(self) -> np.ndarray:
    """Int [N], the lesion or patient of every image."""
    return self.drawn.index

  @property
  def called(self) -> np.ndarray:
    """Bool [N], what is called positive."""
    return self.score >= self.threshold

  def take(self, rows: np.ndarray) -> Scored:
    """Returns some of the images, under the same draws of the same lesions."""
    return dataclasses.replace(
      self, positive=self.positive[rows], score=self.score[rows], drawn=take(self.drawn, rows)
    )


def take(drawn: Groups, rows: np.ndarray) -> Groups:
  """Returns the draws for some of the images; lesions keep their numbers."""
  return dataclasses.replace(drawn, index=drawn.index[rows])


def measure(scored: Scored, bins: int = 15, min_count: int = 10) -> dict[str, Interval | None]:
  """Measures one subgroup.

  A number that would rest on fewer than `min_count` lesions or patients is None.

  Args:
    scored: the subgroup's images.
    bins: of the calibration error, with as many images each; fewer where a bin would hold less than
      `min_count` images.
    min_count: smallest number of lesions or patients that a number rests on.

  Returns:
    sensitivity and false_negative_rate: of positives, n their number; Wilson's interval with their
      lesions or patients as sample size.
    specificity: of negatives, likewise.
    calibration: mean score minus share of positives, -1..1; bootstrap over groups.
    ece: expected calibration error of the score, 0..1; likewise, basic bootstrap, since chance can
      only raise it.
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
    found |= _calibration(scored, min(bins, max(1, len(positive) // max(min_count, 1))))
  if all(enough):
    found['auc'] = _auc(scored)
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


def _calibration(scored: Scored, bins: int) -> dict[str, Interval]:
  """Bias and calibration error; in a resample bins keep their edges."""
  place = calibration_bins(scored.score, bins)
  over = (scored.score - scored.positive)[:, None] * (place[:, None] == np.unique(place))
  gaps = scored.drawn.sums(over)  # [R, bins]
  images = scored.drawn.sums(np.ones(len(place)))
  n = len(place)
  return {
    'calibration': interval(ratio(gaps.sum(1), images), n),
    'ece': interval(ratio(np.abs(gaps).sum(1), images), n, basic=True),
  }


def _auc(scored: Scored) -> Interval:
  """Of the score; images of one group are drawn together."""
  score = scored.score.astype(np.float64)
  values = metrics.resampled_metrics(
    scored.positive.astype(np.int64), np.stack([1 - score, score], 1), scored.groups,
    scored.drawn.weights, ('negative', 'positive'),
  )['macro_auc']  # fmt: skip
  rarest = min(_groups(scored.groups[scored.positive == kind]) for kind in (False, True))
  return interval(values, len(score), rarest)


def _groups(groups: np.ndarray) -> int:
  return len(np.unique(groups))
