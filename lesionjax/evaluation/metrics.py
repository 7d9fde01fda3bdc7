"""Classification metrics of predictions, for one sample or for many weighted resamples at once.

Notation: N images, K classes, G groups (lesions or patients), R resamples; `w` is how often an
image counts in a resample, `tp`, `fp`, `fn` are weighted counts of one class against the rest, and
the predicted class is the arg-max (the first one where probabilities tie).

    accuracy              sum of w over correct images / sum of w
    majority_accuracy     share of the class that is most frequent in the full sample
    recall/c              tp / (tp + fn)             undefined where c is not in the labels
    precision/c           tp / (tp + fp)             undefined where c is never predicted
    f1/c                  2 tp / (2 tp + fp + fn)    undefined where c is neither
    auc/c                 P(score of c higher in an image of c than in another), ties count 1/2
    average_precision/c   sum over thresholds of (recall step) * precision, no interpolation
    log_loss              mean of -log(probability of the true class)
    balanced_accuracy     mean recall over the classes in the labels (= macro_recall)
    macro_x, weighted_x   mean of x over the classes in the labels, plain or weighted by support;
                          a class that is never predicted counts there with precision 0
    macro_auc             mean of auc/c over the classes where it is defined
    average_precision     mean of average_precision/c likewise
    sensitivity, specificity   binary tasks: recall of class 1 (the positive one) and of class 0

In binary tasks macro_auc and average_precision are those of the positive class. All agree with
scikit-learn (`zero_division=0` in averages); undefined is nan.

Sources: Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27 (2006); Grandini
et al., Metrics for multi-class classification, arXiv 2008.05756.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_builders.errors import UserError

# Elements of one [resamples, images] block: 8 MB of int32, small enough to stay near the cache.
_BLOCK_ELEMENTS = 2_000_000


def point_metrics(
  labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> dict[str, float]:
  """Every metric of the module's table for one sample, without intervals.

  Args:
    labels: int [N], 0..K-1.
    probabilities: float [N, K], 0..1.
    class_names: K names.

  Returns:
    Metric name to value; nan where a metric is undefined (see the table above).

  Raises:
    UserError: The arrays do not fit together, are empty, or hold values that are not finite.
  """
  labels, probabilities = check_predictions(labels, probabilities, class_names)
  group_index = np.zeros(len(labels), np.int64)
  values = resampled_metrics(
    labels, probabilities, group_index, np.ones((1, 1), np.uint16), class_names
  )
  return {name: float(value[0]) for name, value in values.items()}


def per_group(
  labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Averages the probabilities over the images of a group (lesion or patient).

  A group whose images carry different labels (a patient with several lesions) gives one row for
  each of its labels, so that no truth has to be invented.

  Args:
    labels: int [N].
    probabilities: float [N, K].
    groups: [N] group ids.

  Returns:
    labels int [M], probabilities float64 [M, K], groups [M], sorted by group id, then label.
  """
  names, group_index = np.unique(np.asarray(groups), return_inverse=True)
  labels = np.asarray(labels)
  pairs, row = np.unique(np.stack([group_index, labels], 1), axis=0, return_inverse=True)
  row = row.reshape(-1)
  sums = np.zeros((len(pairs), np.shape(probabilities)[1]))
  np.add.at(sums, row, probabilities)
  return pairs[:, 1].astype(labels.dtype), sums / np.bincount(row)[:, None], names[pairs[:, 0]]


def check_predictions(
  labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the labels as int64 [N] and the probabilities as float [N, K], or raises UserError."""
  labels, probabilities = np.asarray(labels), np.asarray(probabilities)
  size = len(class_names)
  if len(set(class_names)) != size or size < 2:
    raise UserError(
      f'class_names {list(class_names)} must be at least two different names: name each class once.'
    )
  if labels.ndim != 1 or len(labels) == 0 or probabilities.shape != (len(labels), size):
    raise UserError(
      f'labels have shape {labels.shape} and probabilities {probabilities.shape}: expected [N] and '
      f'[N, {size}] with at least one prediction; evaluate a split that is not empty.'
    )
  if labels.min() < 0 or labels.max() >= size:
    raise UserError(
      f'labels span {labels.min()}..{labels.max()} but {size} classes allow 0..{size - 1}: map the '
      'labels onto the class names before evaluating.'
    )
  if not np.isfinite(probabilities).all():
    bad = int((~np.isfinite(probabilities)).any(axis=1).sum())
    raise UserError(
      f'probabilities of {bad} of {len(labels)} predictions are not finite numbers in 0..1: '
      'look for the step at which training diverged.'
    )
  if not np.issubdtype(probabilities.dtype, np.floating):
    probabilities = probabilities.astype(np.float64)
  return labels.astype(np.int64), probabilities


def resampled_metrics(
  labels: np.ndarray,
  probabilities: np.ndarray,
  group_index: np.ndarray,
  weights: np.ndarray,
  class_names: Sequence[str],
) -> dict[str, np.ndarray]:
  """Every metric of the module's table under each of R weightings of the groups.

  Args:
    labels: int64 [N], 0..K-1.
    probabilities: float [N, K].
    group_index: int [N], 0..G-1, the group of each image.
    weights: unsigned int [R, G], how often each group was drawn.
    class_names: K names.

  Returns:
    Metric name to float64 [R]; nan where a metric is undefined in a resample.
  """
  size, num_groups = len(class_names), weights.shape[1]
  predicted = probabilities.argmax(axis=1)
  cells = np.bincount(
    (group_index * size + labels) * size + predicted, minlength=num_groups * size * size
  ).reshape(num_groups, size * size)
  eps = float(np.finfo(probabilities.dtype).eps)
  chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
  losses = np.bincount(group_index, -np.log(np.clip(chosen, eps, 1 - eps)), minlength=num_groups)
  curves = [_Ranking.of(probabilities[:, c], labels == c) for c in range(size)]
  majority = int(np.bincount(labels, minlength=size).argmax())
  step = max(1, _BLOCK_ELEMENTS // max(len(labels), num_groups))
  blocks = []
  for start in range(0, len(weights), step):
    block = weights[start : start + step]
    real = block.astype(np.float64)
    confusion = (real @ cells).reshape(-1, size, size)
    ranked = np.array([curve.areas(block, group_index) for curve in curves])  # [K, 2, r]
    named = _from_confusion(confusion, majority, class_names)
    named['log_loss'] = (real @ losses) / confusion.sum((1, 2))
    named |= _from_areas(ranked, class_names)
    blocks.append(named)
  return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _from_confusion(
  confusion: np.ndarray, majority: int, class_names: Sequence[str]
) -> dict[str, np.ndarray]:
  """Metrics of confusion counts [R, K true, K predicted]."""
  support, called = confusion.sum(2), confusion.sum(1)
  hits = np.diagonal(confusion, axis1=1, axis2=2)
  total = support.sum(1)
  scores = {
    'precision': _ratio(hits, called),
    'recall': _ratio(hits, support),
    'f1': _ratio(2 * hits, support + called),
  }
  values = {'accuracy': hits.sum(1) / total, 'majority_accuracy': support[:, majority] / total}
  present = support > 0
  for name, score in scores.items():
    known = np.where(present, np.nan_to_num(score), 0.0)
    values[f'macro_{name}'] = known.sum(1) / present.sum(1)
    values[f'weighted_{name}'] = (known * support).sum(1) / total
  values['balanced_accuracy'] = values['macro_recall']
  for index, label in enumerate(class_names):
    values |= {f'{name}/{label}': score[:, index] for name, score in scores.items()}
    values[f'support/{label}'] = support[:, index]
  if len(class_names) == 2:
    values['specificity'], values['sensitivity'] = scores['recall'].T
  return values


def _from_areas(areas: np.ndarray, class_names: Sequence[str]) -> dict[str, np.ndarray]:
  """Metrics of the areas [K, 2 (ROC, precision-recall), R] of every class against the rest."""
  values = {}
  for kind, name, macro in ((0, 'auc', 'macro_auc'), (1, 'average_precision', 'average_precision')):
    area = areas[:, kind]
    values |= {f'{name}/{label}': area[index] for index, label in enumerate(class_names)}
    if len(class_names) == 2:
      values[macro] = area[1]
    else:
      values[macro] = _ratio(np.nan_to_num(area).sum(0), np.isfinite(area).sum(0))
  return values


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
  """The quotient; nan where the denominator is 0."""
  shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
  return np.divide(numerator, denominator, out=np.full(shape, np.nan), where=denominator != 0)


@dataclasses.dataclass(frozen=True)
class _Ranking:
  """Images in falling order of one class's score, cut where positives can change a curve.

  Both areas are sums over the distinct scores that positives have, so only the cumulative weights
  in front of and behind those ties are ever needed.
  """

  order: np.ndarray  # [N] rows, highest score first
  positives: np.ndarray  # [P] rows of the class, same order
  tie_starts: np.ndarray  # [T] where each tie begins in `positives`
  before: np.ndarray  # [T] number of images ranked above the tie
  through: np.ndarray  # [T] the same including the tie

  @classmethod
  def of(cls, scores: np.ndarray, positive: np.ndarray) -> _Ranking:
    order = np.argsort(-scores, kind='stable')
    ranked, hits = scores[order], np.flatnonzero(positive[order])
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, len(order))
    tie, tie_starts = np.unique(np.searchsorted(ends, hits, side='right'), return_index=True)
    before = np.concatenate([[0], ends])[tie]
    return cls(order, order[hits], tie_starts, before, ends[tie])

  def areas(self, weights: np.ndarray, group_index: np.ndarray) -> np.ndarray:
    """ROC area and average precision [2, r] under the group weights [r, G]."""
    count = len(weights)
    if not len(self.positives):
      return np.full((2, count), np.nan)
    cumulative = np.zeros((count, len(self.order) + 1), np.int32)
    drawn = np.take(weights, group_index[self.order], axis=1)
    np.cumsum(drawn, axis=1, dtype=np.int32, out=cumulative[:, 1:])
    step = np.add.reduceat(
      np.take(weights, group_index[self.positives], axis=1), self.tie_starts, axis=1, dtype=np.int32
    )
    tp = np.cumsum(step, axis=1)
    before, through = cumulative[:, self.before], cumulative[:, self.through]
    num_positive = tp[:, -1].astype(np.float64)
    num_negative = cumulative[:, -1] - num_positive
    # Negatives ranked above a tie, and half of those inside it, are the pairs that are lost.
    lost = (before - (tp - step) + through - tp) / 2
    roc = 1 - _ratio((step * lost).sum(1), num_positive * num_negative)
    precision = tp / np.maximum(through, 1)
    return np.stack([roc, _ratio((step * precision).sum(1), num_positive)])
