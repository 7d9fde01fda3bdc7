"""How alike two maps of relevance are: of the trained network and of one with random weights."""

from __future__ import annotations

import cv2
import numpy as np

_SIGMA_PX, _WINDOW_PX = 1.5, 11  # of the paper
_K1, _K2 = 0.01, 0.03


def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Mean structural similarity of pairs of maps.

  Args:
    first: float [N, H, W] in 0..1.
    second: the same shape.

  Returns:
    float64 [N]: 1 for equal maps, about 0 for unrelated ones.

  Source: Wang et al., Image quality assessment, IEEE TIP 13 (2004), eq. 13: Gaussian window of 11
  px with a standard deviation of 1.5, K1 = .01, K2 = .03, range 1.
  """
  return np.array([_ssim(one, other) for one, other in zip(first, second, strict=True)])


def _ssim(first: np.ndarray, second: np.ndarray) -> float:
  def local(values: np.ndarray) -> np.ndarray:
    window = _WINDOW_PX, _WINDOW_PX
    return cv2.GaussianBlur(values, window, _SIGMA_PX, borderType=cv2.BORDER_REFLECT)

  x, y = first.astype(np.float64), second.astype(np.float64)
  mean_x, mean_y = local(x), local(y)
  var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
  both = local(x * y) - mean_x * mean_y
  c1, c2 = _K1**2, _K2**2
  similar = (2 * mean_x * mean_y + c1) * (2 * both + c2)
  return float((similar / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Spearman's rank correlation over the pixels of pairs of maps.

  Args:
    first: float [N, H, W].
    second: the same shape.

  Returns:
    float64 [N], -1..1; nan where a map is the same everywhere.

  Source: Adebayo et al., Sanity checks for saliency maps, NeurIPS (2018), section 3: between maps
  of trained and of random weights it should be near 0.
  """
  return np.array([_spearman(one, other) for one, other in zip(first, second, strict=True)])


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
  x, y = _mean_ranks(first.ravel()), _mean_ranks(second.ravel())
  x, y = x - x.mean(), y - y.mean()
  spread = np.sqrt((x @ x) * (y @ y))
  return float(x @ y / spread) if spread > 0 else np.nan


def _mean_ranks(values: np.ndarray) -> np.ndarray:
  """Ranks, the mean of their places for equal values."""
  _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
  return (np.cumsum(counts) - (counts - 1) / 2)[index]
