"""Distances between two sets of images by their features: Fréchet's and the kernel's."""

from __future__ import annotations

import math

import numpy as np

from lesionjax.evaluation.intervals import Z, group_weights, percentiles

_ROWS = 1024  # of a table of the kernel at a time


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


def fid_interval(
  features_a: np.ndarray, features_b: np.ndarray, groups_a: np.ndarray | None = None
) -> tuple[float, float]:
  """95 % interval of `fid` by its influence function; a bootstrap would be biased as FID is.

  FID changes with an image's weight by 2 shift . x + x (I - T) x, less the mean over images, where
  x is its centred features and T the optimal transport of one Gaussian to the other; the variance
  is that of the sums over groups. How far the value itself is biased is not in it.

  Args:
    features_a: [N, D], N of at least 2.
    features_b: [M, D], M of at least 2; every image stands for itself.
    groups_a: [N] ids of what belongs together, such as lesions; None: every image for itself.

  Returns:
    Low, 0 or more, and high.

  Source: Givens and Shortt, "A class of Wasserstein metrics for probability distributions", 1984
  (T); Hampel, "The influence curve and its role in robust estimation", 1974.
  """
  a, b = _matrix(features_a), _matrix(features_b)
  shift = a.mean(0) - b.mean(0)
  (q_x, r_x), (q_y, r_y) = (np.linalg.qr(_scaled(values)) for values in (a, b))
  u, _, v = np.linalg.svd(r_x @ r_y.T, full_matrices=False)
  # Rows of X T are rows of Y, rotated: no inverse of a covariance, which may have none.
  moved = q_x @ (u @ (v @ r_y)), q_y @ (v.T @ (u.T @ r_x))
  variance = 0.0
  for values, there, sign, groups in zip((a, b), moved, (1, -1), (groups_a, None), strict=True):
    x, count = _scaled(values), len(values)
    influence = (count - 1) * (np.square(x).sum(1) - (x * there).sum(1))
    influence += sign * 2 * (values - values.mean(0)) @ shift
    influence -= influence.mean()
    if groups is not None:
      influence = np.bincount(np.unique(groups, return_inverse=True)[1], influence)
    variance += np.square(influence).sum() / count**2
  value, half = fid(a, b), Z * math.sqrt(variance)
  return max(value - half, 0.0), value + half


def kid(features_a: np.ndarray, features_b: np.ndarray) -> float:
  """Squared maximum mean discrepancy of the kernel (x . y / D + 1)^3, unbiased.

  It may lie below 0 where there is no difference.

  Args:
    features_a: [N, D], N of at least 2.
    features_b: [M, D], M of at least 2.

  Source: Binkowski et al., "Demystifying MMD GANs", 2018; of all pairs instead of subsets.
  """
  a, b = _matrix(features_a), _matrix(features_b)
  return float(_discrepancies(a, b, np.ones((1, len(a))), np.ones((1, len(b))))[0])


def kid_interval(
  features_a: np.ndarray,
  features_b: np.ndarray,
  groups_a: np.ndarray | None = None,
  resamples: int = 500,
  seed: int = 0,
) -> tuple[float, float] | None:
  """95 % interval of `kid`: percentile bootstrap over the images of both sides.

  Pairs of an image with itself, which draws with replacement bring about, are left out, so that a
  draw is as unbiased as the value.

  Args:
    features_a: [N, D], N of at least 2.
    features_b: [M, D], M of at least 2; every image stands for itself.
    groups_a: [N] ids of what is drawn together, such as lesions; None: every image for itself.
    resamples: number of draws.
    seed: of the draws.

  Returns:
    Low and high; None where most draws hold a single image of a side.
  """
  a, b = _matrix(features_a), _matrix(features_b)
  index = np.arange(len(a)) if groups_a is None else np.unique(groups_a, return_inverse=True)[1]
  of_a = group_weights(int(index.max()) + 1, resamples, seed)[:, index].astype(np.float64)
  of_b = group_weights(len(b), resamples, seed + 1).astype(np.float64)
  return percentiles(_discrepancies(a, b, of_a, of_b))


def _discrepancies(a: np.ndarray, b: np.ndarray, of_a: np.ndarray, of_b: np.ndarray) -> np.ndarray:
  """The unbiased estimate, [R], when every image counts as often as weights [R, N], [R, M] say."""
  within = np.zeros(len(of_a))
  for values, weights in ((a, of_a), (b, of_b)):
    itself = (np.square(values).sum(1) / values.shape[1] + 1) ** 3
    pairs = _weighted_sums(values, values, weights, weights) - np.square(weights) @ itself
    with np.errstate(invalid='ignore', divide='ignore'):  # one image only: no pair
      within += pairs / (weights.sum(1) ** 2 - np.square(weights).sum(1))
  return within - 2 * _weighted_sums(a, b, of_a, of_b) / (of_a.sum(1) * of_b.sum(1))


def _weighted_sums(a: np.ndarray, b: np.ndarray, of_a: np.ndarray, of_b: np.ndarray) -> np.ndarray:
  """Sums of the kernel over all pairs, weighted, [R]; the kernel some rows at a time."""
  total = np.zeros(len(of_a))
  for start in range(0, len(a), _ROWS):
    rows = slice(start, start + _ROWS)
    kernel = (a[rows] @ b.T / a.shape[1] + 1) ** 3
    total += ((of_a[:, rows] @ kernel) * of_b).sum(1)
  return total


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
