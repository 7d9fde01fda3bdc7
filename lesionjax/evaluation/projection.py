"""A map of feature vectors in two dimensions: t-SNE of a few rows, evenly over classes."""

from __future__ import annotations

import numpy as np

MOST = 2000
"""Rows of a map: more take minutes and cannot be told apart."""


def choose_rows(labels: np.ndarray, added: np.ndarray, most: int = MOST) -> np.ndarray:
  """Chooses rows for a map: as many of every class, half of them real where there are enough.

  Args:
    labels: int [N].
    added: bool [N], which rows no image stands behind.
    most: rows in all.

  Returns:
    Their numbers, in order; of each kind evenly spread.
  """
  present = np.unique(labels)
  quota = most // max(len(present), 1)
  chosen = [np.zeros(0, np.int64)]
  for label in present:
    real, made = (np.flatnonzero((labels == label) & (added == flag)) for flag in (False, True))
    count = min(len(made), quota - min(len(real), quota // 2))
    chosen += [spread(real, quota - count), spread(made, count)]
  return np.sort(np.concatenate(chosen))


def spread(rows: np.ndarray, count: int) -> np.ndarray:
  """Returns at most so many of some rows, the first and the last among them."""
  places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(np.int64)
  return rows[np.unique(places)]


def project(features: np.ndarray, seed: int) -> np.ndarray:
  """Places rows in a plane so that neighbours stay neighbours; 2,000 rows take some seconds.

  Distances between groups, and the sizes of groups, say nothing.

  Args:
    features: float [N, D], N from 4 on.
    seed: of the placement; the same bits on any number of cores.

  Returns:
    float32 [N, 2].

  References:
    van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 9, 2008.
    https://scikit-learn.org/stable/modules/generated/sklearn.manifold.TSNE.html
  """
  import threadpoolctl
  from sklearn.manifold import TSNE

  perplexity = min(30.0, (len(features) - 1) / 3)
  with threadpoolctl.threadpool_limits(1):
    map_ = TSNE(perplexity=perplexity, init='pca', random_state=seed).fit_transform(features)
  return np.asarray(map_, np.float32)
