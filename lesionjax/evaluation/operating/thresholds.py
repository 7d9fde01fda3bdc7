"""Thresholds chosen on one split by what they shall reach there.

An image is called positive where its score >= threshold. Candidates are the distinct scores and
one value just above the largest, at which nothing is called positive. Where several candidates
reach the same, the highest is taken: it refers the fewest images. All comparisons are between
whole numbers of images, so that no rounding decides.

    best_f1            highest F1 = 2 tp / (2 tp + fp + fn)
    sensitivity_X      highest threshold with sensitivity >= X %, hence the best specificity there
    specificity_X      best sensitivity among the thresholds with specificity >= X %
    youden             highest sensitivity + specificity - 1
    cost               lowest fp + cost_ratio * fn

Sources: Youden, Index for rating diagnostic tests, Cancer 3 (1950); Fawcett, An introduction to ROC
analysis, Pattern Recognition Letters 27 (2006).
"""

from __future__ import annotations

import dataclasses

import numpy as np

POINTS = (
  'best_f1',
  'sensitivity_80',
  'sensitivity_90',
  'sensitivity_95',
  'youden',
  'cost',
  'specificity_80',
  'specificity_90',
  'specificity_95',
)


@dataclasses.dataclass(frozen=True)
class Counts:
  """What every candidate threshold calls positive, from the highest to the lowest.

  Attributes:
    thresholds: float64 [T], falling; the first calls nothing positive, the last everything.
    tp: int64 [T], positive images called positive.
    fp: int64 [T], negative images called positive.
  """

  thresholds: np.ndarray
  tp: np.ndarray
  fp: np.ndarray

  @classmethod
  def of(cls, truth: np.ndarray, scores: np.ndarray) -> Counts:
    """Counts of bool truth [N] and float scores [N], N at least 1."""
    values, place = np.unique(np.asarray(scores, np.float64), return_inverse=True)
    called = [np.bincount(place[rows], minlength=len(values)) for rows in (truth, ~truth)]
    tp, fp = (np.concatenate([[0], np.cumsum(count[::-1])]) for count in called)
    return cls(np.append(values, np.nextafter(values[-1], np.inf))[::-1], tp, fp)

  @property
  def positives(self) -> int:
    return int(self.tp[-1])

  @property
  def negatives(self) -> int:
    return int(self.fp[-1])


def problem(truth: np.ndarray, scores: np.ndarray, where: str, name: str) -> str:
  """Why no threshold can be fitted, in one sentence; '' where one can.

  Args:
    truth: bool [N].
    scores: float [N].
    where: what the images are called, such as 'validation'.
    name: of the positive class.
  """
  if not len(truth):
    return f'There is no image in {where}, so that no threshold can be fitted there.'
  if not truth.any() or truth.all():
    kind = f'positive ({name})' if not truth.any() else f'negative (not {name})'
    return (
      f'None of the {len(truth):,} images of {where} is {kind}, so that no threshold can be fitted'
      ' there.'
    )
  if np.ptp(scores) == 0:
    return (
      f'All {len(truth):,} images of {where} have the same score, {float(scores[0]):.3g}: no'
      ' threshold tells them apart.'
    )
  return ''


def fit(truth: np.ndarray, scores: np.ndarray, cost_ratio: float) -> dict[str, float]:
  """Chooses every threshold of the module's table.

  Args:
    truth: bool [N] with both values.
    scores: float [N], higher is more likely positive; not all the same.
    cost_ratio: how many false alarms a missed positive costs, above 0.

  Returns:
    Name to threshold, in the order of `POINTS`.
  """
  counts = Counts.of(truth, scores)
  return {name: float(counts.thresholds[_choose(counts, name, cost_ratio)]) for name in POINTS}


def _choose(counts: Counts, name: str, cost_ratio: float) -> int:
  """Row of `counts`; `argmax` takes the first of equals, which is the highest threshold."""
  tp, fp, positives, negatives = counts.tp, counts.fp, counts.positives, counts.negatives
  if name == 'best_f1':
    return int(np.argmax(2 * tp / (positives + tp + fp)))
  if name == 'youden':
    return int(np.argmax(tp * negatives - fp * positives))
  if name == 'cost':
    return int(np.argmin(fp + cost_ratio * (positives - tp)))
  kind, percent = name.split('_')
  if kind == 'sensitivity':
    return int(np.argmax(100 * tp >= int(percent) * positives))
  return int(np.argmax(np.where(100 * fp <= (100 - int(percent)) * negatives, tp, -1)))
