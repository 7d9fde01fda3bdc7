"""What the nearest neighbours of an image in feature space are: of its class, of its split."""

from __future__ import annotations

import numpy as np

_ROWS = 512  # of a table of distances at a time


def nearest(
  features: np.ndarray,
  groups: np.ndarray,
  others: np.ndarray,
  other_groups: np.ndarray,
  neighbours: int,
) -> np.ndarray:
  """Finds the nearest rows of other images, by Euclidean distance.

  Args:
    features: float [N, D].
    groups: [N], lesion or patient: an image of the same one is no neighbour.
    others: float [M, D].
    other_groups: [M].
    neighbours: k; at least that many images are of other lesions, for every row.

  Returns:
    int [N, k], rows of `others`, in no order.
  """
  from scipy.spatial.distance import cdist

  found = np.empty((len(features), neighbours), np.int64)
  others = np.asarray(others, np.float64)
  for start in range(0, len(features), _ROWS):
    rows = slice(start, start + _ROWS)
    distance = cdist(np.asarray(features[rows], np.float64), others, 'sqeuclidean')
    distance[groups[rows, None] == other_groups[None]] = np.inf
    found[rows] = np.argpartition(distance, neighbours - 1, axis=1)[:, :neighbours]
  return found
