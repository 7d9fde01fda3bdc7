"""The trivial baseline that a network must add to: gradient boosting on colour statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

_PERCENTILES = (5, 50, 95)


def colour_statistics(image: np.ndarray) -> np.ndarray:
  """Fifteen colour statistics of an image, blind to shape and texture.

  For red, green and blue in turn: mean, standard deviation, and the 5th, 50th and 95th percentile
  (the smallest level that at least this share of the pixels does not exceed).

  Args:
    image: uint8 [H, W, 3], RGB.

  Returns:
    float32 [15], in grey levels 0..255.
  """
  image = np.asarray(image)
  levels = np.arange(256.0)
  statistics = []
  for channel in range(3):
    counts = np.bincount(image[..., channel].reshape(-1), minlength=256)
    total = counts.sum()
    mean = counts @ levels / total
    std = np.sqrt(max(counts @ levels**2 / total - mean**2, 0.0))
    share = np.cumsum(counts)
    ranks = [int(np.searchsorted(share, percent * total / 100)) for percent in _PERCENTILES]
    statistics += [mean, std, *ranks]
  return np.array(statistics, np.float32)


def colour_baseline(
  train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, num_classes: int, seed: int = 0
) -> np.ndarray:
  """Class probabilities of gradient-boosted trees fitted to colour statistics.

  Histogram gradient boosting (Ke et al., LightGBM, NeurIPS 2017) with scikit-learn's defaults
  except for a fixed number of rounds, so that nothing depends on a random hold-out.

  Args:
    train_x: float [N, D] statistics of the training images.
    train_y: int [N] labels, 0..num_classes-1.
    test_x: float [M, D].
    num_classes: K.
    seed: Seed of the binning.

  Returns:
    float64 [M, K]; classes without a training image have probability 0.
  """
  import threadpoolctl  # a dependency of scikit-learn
  from sklearn.ensemble import HistGradientBoostingClassifier

  settings: dict[str, Any] = {'max_iter': 60, 'max_leaf_nodes': 15, 'early_stopping': False}
  present = np.unique(train_y)  # sorted, as the columns of predict_proba are
  probabilities = np.zeros((len(test_x), num_classes))
  if len(present) == 1:
    probabilities[:, present] = 1.0
    return probabilities
  model = HistGradientBoostingClassifier(learning_rate=0.1, random_state=seed, **settings)
  # One thread: OpenMP spins four times longer on cores that it shares, and gains little here.
  with threadpoolctl.threadpool_limits(1, user_api='openmp'):
    model.fit(train_x, train_y)
    probabilities[:, present] = model.predict_proba(test_x)
  return probabilities
