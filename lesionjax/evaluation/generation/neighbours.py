"""What nearest neighbours tell of generated images: precision, recall, and copies of training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_ROWS = 1024  # of a table of distances at a time


class Memorised(NamedTuple):
  """Which generated images lie nearer to a training image than real images do.

  Attributes:
    flags: bool [M].
    share: of generated images that are flagged.
    threshold: distance below which one is.
    nearest: int [M], row of the nearest training image.
    distance: float [M], to it.
  """

  flags: np.ndarray
  share: float
  threshold: float
  nearest: np.ndarray
  distance: np.ndarray


def precision_recall(
  real: np.ndarray, generated: np.ndarray, neighbours: int = 3
) -> tuple[float, float]:
  """Shares of either set that lie within the other's manifold.

  A manifold is the union of balls around its images that reach to their k-th neighbour.

  Args:
    real: features [N, D].
    generated: features [M, D]; compare values of equal N and M only.
    neighbours: k, below N and M.

  Returns:
    precision: share of generated images within the real manifold.
    recall: share of real images within the generated one.

  Source: Kynkaanniemi et al., "Improved Precision and Recall Metric for Assessing Generative
  Models", 2019.
  """
  return (
    float(_inside(generated, real, neighbours).mean()),
    float(_inside(real, generated, neighbours).mean()),
  )


def memorised(
  train: np.ndarray, generated: np.ndarray, quantile: float = 0.01, groups: np.ndarray | None = None
) -> Memorised:
  """Looks for generated images that are copies of training images.

  The threshold is what real images say of one another: the `quantile` of the distances from a
  training image to its nearest neighbour among the others, so that as many real ones would be
  flagged. A generator that copies nothing stays near or below that share.

  Args:
    train: features [N, D] of the training images, two or more.
    generated: features [M, D].
    quantile: in [0, 1].
    groups: [N], lesions: pictures of one lesion are not counted as one another's neighbours.
  """
  names = np.arange(len(train)) if groups is None else np.unique(groups, return_inverse=True)[1]
  among, _ = _nearest(train, train, names)
  threshold = float(np.quantile(among[np.isfinite(among)], quantile))
  distance, nearest = _nearest(generated, train)
  flags = distance < threshold
  share = float(flags.mean()) if len(flags) else float('nan')
  return Memorised(flags, share, threshold, nearest, distance)


def _inside(points: np.ndarray, manifold: np.ndarray, neighbours: int) -> np.ndarray:
  if not 1 <= neighbours < len(manifold):
    raise ValueError(f'{neighbours} neighbours of {len(manifold)} images: at least one, and fewer')
  radii = np.concatenate(
    [
      np.partition(rows, neighbours, axis=1)[:, neighbours]  # the nearest is the image itself
      for _, rows in _distances(manifold, manifold)
    ]
  )
  return np.concatenate([(rows <= radii).any(1) for _, rows in _distances(points, manifold)])


def _nearest(
  points: np.ndarray, others: np.ndarray, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
  """Distance and row of the nearest of `others`, none of the point's own group."""
  distance, nearest = np.empty(len(points)), np.empty(len(points), np.int64)
  for start, rows in _distances(points, others):
    part = slice(start, start + len(rows))
    if groups is not None:
      rows[groups[part, None] == groups[None]] = np.inf
    nearest[part] = rows.argmin(1)
    distance[part] = rows.min(1)
  return distance, nearest


def _distances(points: np.ndarray, others: np.ndarray):
  """Yields first row and Euclidean distances [rows, N], some rows at a time."""
  from scipy.spatial.distance import cdist

  others = np.asarray(others, np.float64)
  for start in range(0, len(points), _ROWS):
    yield start, cdist(np.asarray(points[start : start + _ROWS], np.float64), others)
