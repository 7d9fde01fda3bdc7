"""How well hairs were found, and how near the cleaned image is to its hair-free twin."""

from __future__ import annotations

import cv2
import numpy as np

_SIGMA, _TAPS = 1.5, 11
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def detection(found: np.ndarray, truth: np.ndarray, tolerance_px: int = 0) -> dict[str, float]:
  """Precision, recall and F1 over pixels.

  Args:
    found: bool [H, W], at least one pixel of `truth` being set.
    truth: bool [H, W].
    tolerance_px: a pixel counts as right when the other mask has one within this many pixels,
      diagonals included.

  Returns:
    'precision' (1 where nothing was found), 'recall' and 'f1', each in [0, 1].
  """
  near_found, near_truth = found, truth
  if tolerance_px:
    kernel = np.ones((2 * tolerance_px + 1,) * 2, np.uint8)
    near_found = cv2.dilate(found.astype(np.uint8), kernel).astype(bool)
    near_truth = cv2.dilate(truth.astype(np.uint8), kernel).astype(bool)
  precision = float(near_truth[found].mean()) if found.any() else 1.0
  recall = float(near_found[truth].mean())
  total = precision + recall
  return {
    'precision': precision,
    'recall': recall,
    'f1': 2 * precision * recall / total if total else 0.0,
  }


def psnr_db(image: np.ndarray, twin: np.ndarray, where: np.ndarray) -> float:
  """Peak signal-to-noise ratio over the chosen pixels of uint8 RGB images, infinite if equal."""
  difference = image[where].astype(np.float64) - twin[where]
  error = float(np.mean(difference**2))
  return float('inf') if error == 0 else 10 * float(np.log10(255**2 / error))


def ssim_map(image: np.ndarray, twin: np.ndarray) -> np.ndarray:
  """Structural similarity of two grey images at every pixel.

  Args:
    image: uint8 [H, W].
    twin: uint8 [H, W].

  Returns:
    float64 [H, W], 1 where they agree.

  Source: Wang et al., Image quality assessment: from error visibility to structural similarity
  (2004): Gaussian window of 11 pixels, sigma 1.5, K1 = .01, K2 = .03.
  """
  x, y = image.astype(np.float64), twin.astype(np.float64)
  mean_x, mean_y = _blur(x), _blur(y)
  var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
  covariance = _blur(x * y) - mean_x * mean_y
  luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
  return luminance * (2 * covariance + _C2) / (var_x + var_y + _C2)


def _blur(plane: np.ndarray) -> np.ndarray:
  return cv2.GaussianBlur(plane, (_TAPS, _TAPS), _SIGMA, borderType=cv2.BORDER_REFLECT)
