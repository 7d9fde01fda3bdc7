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
