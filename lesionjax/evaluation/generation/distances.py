"""Distances between two sets of images by their features: Fréchet's and the kernel's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class KernelDistance(NamedTuple):
  """A mean over subsets and how sure it is.

  Attributes:
    value: mean of the unbiased estimates; it may lie below 0 where there is no difference.
    error: standard error of that mean over the subsets.
  """

  value: float
  error: float


def fid(features_a: np.ndarray, features_b: np.ndarray) -> float:
  """Fréchet distance of two Gaussians that have the features' means and covariances.

  |mean_a - mean_b|^2 + trace(A + B - 2 (A B)^(1/2)). It is biased upwards by about the number of
  features over the number of images: compare only values of equally many images.

  Args:
    features_a: [N, D], N of at least 2.
    features_b: [M, D], M of at least 2.

  Returns:
    The distance, 0 or more.

  Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017.
  """
  a, b = _matrix(features_a), _matrix(features_b)
  shift = a.mean(0) - b.mean(0)
  # With A = X^T X and B = Y^T Y the trace of (A B)^(1/2) is the sum of the singular values of
  # X Y^T: no square root of a matrix, which is not stable for fewer images than features.
  x, y = (_scaled(values) for values in (a, b))
  both = np.linalg.svd(_triangle(x) @ _triangle(y).T, compute_uv=False).sum()
  distance = shift @ shift + np.square(x).sum() + np.square(y).sum() - 2 * both
  return float(max(distance, 0.0))


def kid(
  features_a: np.ndarray,
  features_b: np.ndarray,
  subsets: int = 50,
  subset_size: int = 200,
  seed: int = 0,
) -> KernelDistance:
  """Squared maximum mean discrepancy of the kernel (x . y / D + 1)^3, unbiased.

  Args:
    features_a: [N, D], N of at least 2.
    features_b: [M, D], M of at least 2.
    subsets: random subsets over which the estimate is averaged.
    subset_size: images of either side in each; where there are no more than that, all are taken
      once and the error is not a number.
    seed: of the subsets.

  Source: Binkowski et al., "Demystifying MMD GANs", 2018.
  """
  a, b = _matrix(features_a), _matrix(features_b)
  if max(len(a), len(b)) <= subset_size:
    return KernelDistance(_discrepancy(a, b), float('nan'))
  rng = np.random.default_rng(seed)
  found = [
    _discrepancy(*(values[_some(rng, len(values), subset_size)] for values in (a, b)))
    for _ in range(subsets)
  ]
  error = np.std(found, ddof=1) / np.sqrt(subsets) if subsets > 1 else float('nan')
  return KernelDistance(float(np.mean(found)), float(error))


def _discrepancy(a: np.ndarray, b: np.ndarray) -> float:
  within = sum(_off_diagonal_mean(_kernel(values, values)) for values in (a, b))
  return float(within - 2 * _kernel(a, b).mean())


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  return (a @ b.T / a.shape[1] + 1) ** 3


def _off_diagonal_mean(kernel: np.ndarray) -> float:
  count = len(kernel)
  return float((kernel.sum() - np.trace(kernel)) / (count * (count - 1)))


def _some(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
  return rng.choice(count, min(count, size), replace=False)


def _matrix(features: np.ndarray) -> np.ndarray:
  features = np.asarray(features, np.float64)
  if features.ndim != 2 or len(features) < 2:
    raise ValueError(f'features of shape {features.shape}: two images or more, a row each')
  return features


def _scaled(values: np.ndarray) -> np.ndarray:
  """X with X^T X the covariance."""
  return (values - values.mean(0)) / np.sqrt(len(values) - 1)


def _triangle(x: np.ndarray) -> np.ndarray:
  """R with R^T R = X^T X and no more rows than X has columns."""
  return np.asarray(np.linalg.qr(x, mode='r')) if len(x) > x.shape[1] else x
