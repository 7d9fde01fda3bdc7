"""The numbers of the challenge, from arrays; what they mean says the package."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.evaluation.official.tables import Truth

BALANCED, AUC, AP = 'balanced_accuracy', 'auc', 'ap'
METRICS = (BALANCED, AUC, AP)
"""What may rank: balanced accuracy did in 2018 and 2019."""

SENSITIVITY = 0.8


@dataclasses.dataclass(frozen=True)
class Score:
  """What the challenge says of a submission; None is undefined.

  Attributes:
    overall: the number that ranks.
    validation: the same under the truth's validation weights.
    per_category: metric -> class -> value.
    macro_average: metric -> mean over the classes that have it.
    aggregate: {'balanced_accuracy': value}.
    notes: sentences on what is undefined, or other than it may seem.
  """

  overall: float | None
  validation: float | None
  per_category: dict[str, dict[str, float | None]]
  macro_average: dict[str, float | None]
  aggregate: dict[str, float | None]
  notes: tuple[str, ...] = ()

  def to_dict(self) -> dict[str, Any]:
    """As the challenge's program writes its JSON, with the notes."""
    return dataclasses.asdict(self) | {'notes': list(self.notes)}


def score(truth: Truth, probabilities: np.ndarray, metric: str = BALANCED) -> Score:
  """Scores a submission.

  Args:
    truth: of N images and K classes.
    probabilities: float64 [N, K], 0..1, in the truth's order.
    metric: of `METRICS`, the one that ranks.

  Raises:
    UserError: there is no such metric.
  """
  if metric not in METRICS:
    raise UserError(f'--metric={metric} is none: choose {", ".join(METRICS)}.')
  rows = {
    name: category_score(truth.positive[:, k], probabilities[:, k], truth.score_weight)
    for k, name in enumerate(truth.categories)
  }
  names = list(next(iter(rows.values())))
  per_category = {name: {c: rows[c][name] for c in rows} for name in names}
  macro = {name: _mean(list(values.values())) for name, values in per_category.items()}
  balanced = balanced_accuracy(truth.positive, probabilities, truth.score_weight)
  held = truth.validation_weight
  if metric == BALANCED:
    overall, validation = balanced, balanced_accuracy(truth.positive, probabilities, held)
  else:
    area = roc_area if metric == AUC else average_precision
    overall = macro[metric]
    validation = _mean(
      [area(truth.positive[:, k], probabilities[:, k], held) for k in range(len(rows))]
    )
  return Score(
    overall, validation, per_category, macro, {BALANCED: balanced}, _notes(truth, per_category)
  )


def category_score(
  positive: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> dict[str, float | None]:
  """Every metric of one class against the rest.

  Args:
    positive: bool [N].
    scores: float64 [N], 0..1.
    weights: float64 [N], at least 0, not all 0.

  Returns:
    Metric to value; the areas are None where all images, weighed, are positive or all negative.
  """
  called = scores > 0.5
  tp, tn = (float(weights[both].sum()) for both in (positive & called, ~positive & ~called))
  fp, fn = (float(weights[both].sum()) for both in (~positive & called, positive & ~called))
  return {
    'accuracy': (tp + tn) / (tp + tn + fp + fn),
    'sensitivity': _share(tp, fn),
    'specificity': _share(tn, fp),
    'dice': _share(2 * tp, fp + fn),
    'ppv': _share(tp, fp),
    'npv': _share(tn, fn),
    'auc': roc_area(positive, scores, weights),
    'auc_sens_80': roc_area_above(positive, scores, weights, SENSITIVITY),
    'ap': average_precision(positive, scores, weights),
  }


def balanced_accuracy(
  positive: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> float | None:
  """Mean recall over the classes that have weight, where a tie for the highest calls no class.

  Args:
    positive: bool [N, K]; a row with none or several is of no class.
    probabilities: float64 [N, K].
    weights: float64 [N].
  """
  true, called = _labels(positive.astype(np.float64)), _labels(probabilities)
  recalls = []
  for k in range(positive.shape[1]):
    support = weights[true == k].sum()
    if support > 0:
      recalls.append(float(weights[(true == k) & (called == k)].sum() / support))
  return _mean(recalls)


def roc_area(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float | None:
  """Area under the weighted ROC curve [N]; None where one side has no weight."""
  curve = _roc(positive, scores, weights)
  return None if curve is None else float(np.trapezoid(curve[1], curve[0]))


def roc_area_above(
  positive: np.ndarray, scores: np.ndarray, weights: np.ndarray, sensitivity: float
) -> float | None:
  """The part of `roc_area` to the right of where the curve reaches a sensitivity in 0..1."""
  curve = _roc(positive, scores, weights)
  if curve is None:
    return None
  fpr, tpr = curve
  first = int(np.searchsorted(tpr, sensitivity))  # at least 1: the curve starts at 0
  around = slice(first - 1, first + 1)
  start = np.interp(sensitivity, tpr[around], fpr[around])
  x, y = np.append(start, fpr[first:]), np.append(sensitivity, tpr[first:])
  return float(np.trapezoid(y, x))


def average_precision(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
  """Weighted average precision [N] without interpolation; 0 where the class has no weight."""
  tp, fp = _counts(positive, scores, weights)
  if not len(tp) or tp[-1] <= 0:
    return 0.0
  return float((np.diff(tp, prepend=0.0) / tp[-1] * tp / (tp + fp)).sum())


def _counts(
  positive: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Weights of the positives and negatives at or above each distinct score, the highest first."""
  kept = weights > 0
  positive, scores, weights = positive[kept], scores[kept], weights[kept]
  # The order of scikit-learn within ties: sums are then rounded alike, and a sensitivity that is
  # just .8 there is so here.
  order = np.argsort(scores, kind='stable')[::-1]
  last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1) if len(order) else []
  chosen = np.asarray(last, np.int64)
  tp = np.cumsum((positive * weights)[order])[chosen]
  return tp, np.cumsum((~positive * weights)[order])[chosen]


def _roc(
  positive: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
  """False and true positive rates from (0, 0) to (1, 1)."""
  tp, fp = _counts(positive, scores, weights)
  if not len(tp) or tp[-1] <= 0 or fp[-1] <= 0:
    return None
  return np.append(0.0, fp / fp[-1]), np.append(0.0, tp / tp[-1])


def _labels(values: np.ndarray) -> np.ndarray:
  """Column of the one highest value of each row [N]; -1 where several are."""
  alone = (values == values.max(1, keepdims=True)).sum(1) == 1
  return np.where(alone, values.argmax(1), -1)


def _share(part: float, rest: float) -> float:
  """The challenge's way with nothing to count: 1."""
  return part / (part + rest) if part + rest else 1.0


def _mean(values: list[float | None]) -> float | None:
  known = [value for value in values if value is not None]
  return float(np.mean(known)) if known else None


def _notes(truth: Truth, per_category: dict[str, dict[str, float | None]]) -> tuple[str, ...]:
  notes = []
  undefined = [name for name, value in per_category['auc'].items() if value is None]
  if undefined:
    notes.append(
      f'No ROC curve for {", ".join(undefined)}: all scored images are of the class, or none is;'
      " the challenge's program stops there, here the mean leaves it out."
    )
  uneven = np.ptp(truth.score_weight) > 0 or np.ptp(truth.validation_weight) > 0
  if uneven and not truth.sorted:
    notes.append(
      "The truth's images are not in the order of their ids: the challenge's program would then"
      ' give weights to the wrong images; here each keeps its own.'
    )
  return tuple(notes)
