"""Which images a report shows: confident hits and confident errors of every class."""

from __future__ import annotations

import numpy as np


def select_examples(
  labels: np.ndarray, probabilities: np.ndarray, count: int, groups: np.ndarray | None = None
) -> np.ndarray:
  """Picks the most confident hits and the most confident errors of every class in turn.

  Round after round takes, for each class, the hit with the highest probability, then the error
  with the highest (wrong) probability, so that rare classes are shown as often as frequent ones.

  Args:
    labels: int [N], 0..K-1.
    probabilities: float [N, K].
    count: How many images to pick at most.
    groups: [N] group ids; where given, at most one image of a group is picked.

  Returns:
    int64 [M], M <= count, different rows of the predictions: the order of picking.
  """
  labels, probabilities = np.asarray(labels), np.asarray(probabilities)
  predicted, confidence = probabilities.argmax(1), probabilities.max(1)
  order = np.argsort(-confidence, kind='stable')
  queues = []
  for label in range(probabilities.shape[1]):
    rows = order[labels[order] == label]
    queues += [iter(rows[predicted[rows] == label]), iter(rows[predicted[rows] != label])]
  unit = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
  picked: list[int] = []
  used: set[int] = set()
  while queues and len(picked) < count:
    for queue in list(queues):
      row = next((row for row in queue if int(unit[row]) not in used), None)
      if row is None:
        queues.remove(queue)
      elif len(picked) < count:
        used.add(int(unit[row]))
        picked.append(int(row))
  return np.array(picked, np.int64)


def select_explained(
  labels: np.ndarray,
  probabilities: np.ndarray,
  positive: np.ndarray,
  count: int,
  groups: np.ndarray | None = None,
) -> tuple[np.ndarray, list[str]]:
  """Picks the images that are worth an explanation: mostly errors.

  Half of them are the most confident errors of all, a quarter the positives that were most
  confidently taken for negative, the rest the most confident hits of every class in turn. Where
  there are fewer of a kind, the next ones take their places; what is left over then goes back to
  the errors.

  Args:
    labels: int [N], 0..K-1.
    probabilities: float [N, K].
    positive: bool [K], the classes that must not be missed.
    count: How many images to pick at most.
    groups: [N] group ids; where given, at most one image of a group is picked.

  Returns:
    rows: int64 [M], different rows of the predictions, kind by kind.
    kinds: M of 'error', 'miss' and 'hit'.
  """
  labels, probabilities = np.asarray(labels), np.asarray(probabilities)
  predicted = probabilities.argmax(1)
  order = np.argsort(-probabilities.max(1), kind='stable')
  wrong = order[predicted[order] != labels[order]]
  # The most confident is here the one whose positive classes together got least.
  missed = np.flatnonzero(positive[labels] & ~positive[predicted])
  missed = missed[np.argsort(probabilities[missed][:, positive].sum(1), kind='stable')]
  right = np.flatnonzero(predicted == labels)
  hits = right[select_examples(labels[right], probabilities[right], len(right))]
  unit = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
  picked: dict[str, list[int]] = {'error': [], 'miss': [], 'hit': []}
  used: set[int] = set()
  half, quarter = count - count // 2, count // 4
  parts = (('error', wrong, half), ('miss', missed, half + quarter), ('hit', hits, count))
  for kind, queue, until in (*parts, ('error', wrong, count)):
    for row in queue.tolist():
      if len(used) >= until:
        break
      if int(unit[row]) not in used:
        used.add(int(unit[row]))
        picked[kind].append(row)
  rows = [row for some in picked.values() for row in some]
  kinds = [kind for kind, some in picked.items() for _ in some]
  return np.array(rows, np.int64), kinds
