"""Connected regions of a mask: pure functions of a bool [H, W].

Lesion is 8-connected and background 4-connected, so that a line one pixel wide, drawn diagonally,
holds together and keeps its two sides apart.
"""

from __future__ import annotations

import cv2
import numpy as np

_AREA = cv2.CC_STAT_AREA


def largest_component(mask: np.ndarray) -> np.ndarray:
  """Keeps the region with most pixels; of equal ones always the same."""
  labels, stats = components(mask)
  if len(stats) <= 2:
    return mask
  return labels == 1 + int(stats[1:, _AREA].argmax())


def fill_holes(mask: np.ndarray) -> np.ndarray:
  """Adds background that no path of 4-neighbours joins to the border of the image."""
  background = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
  _, labels = cv2.connectedComponents(background, connectivity=4)
  return (labels != labels[0, 0])[1:-1, 1:-1]


def without_small(mask: np.ndarray, min_px: float) -> np.ndarray:
  """Removes regions of fewer than `min_px` pixels."""
  labels, stats = components(mask)
  keep = stats[:, _AREA] >= min_px
  keep[0] = False
  return keep[labels]


def components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Numbers the regions.

  Args:
    mask: bool [H, W].

  Returns:
    int32 [H, W] number of each pixel's region, 0 for background; int32 [regions + 1, 5] with left,
    top, width, height, area (OpenCV's columns) of every number, background first.
  """
  _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
  return labels, stats
