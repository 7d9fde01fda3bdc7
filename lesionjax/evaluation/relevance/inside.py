"""Where relevance lies: share inside of a region, and whether the peak is in it.

Regions are coverages: the share of every pixel of the map that lies in the region, so that a hair
thinner than a pixel counts for as much as it covers. A bool mask is one, too.
"""

from __future__ import annotations

import cv2
import numpy as np

TOLERANCE = 0.05  # of the short side: Zhang et al. take 15 px on images of about 300 px


def share_inside(relevance: np.ndarray, region: np.ndarray) -> np.ndarray:
  """The share of all relevance that lies in a region.

  Args:
    relevance: float [N, H, W], at least 0.
    region: bool or float [N, H, W], how much of every pixel lies in the region, 0..1.

  Returns:
    float64 [N], 0..1; nan where a map is 0 everywhere. A map that is the same everywhere has the
    region's `area`: that is what chance gives.

  Source: the energy-based pointing game of Wang et al., Score-CAM, CVPR Workshops (2020), eq. 9.
  """
  maps = np.asarray(relevance, np.float64)
  total = maps.sum((1, 2))
  within = (maps * region).sum((1, 2))
  return np.divide(within, total, out=np.full(len(maps), np.nan), where=total > 0)


def area(region: np.ndarray) -> np.ndarray:
  """The share of the image that a region covers, float64 [N]."""
  return np.asarray(region, np.float64).mean((1, 2))


def pointing_game(
  relevance: np.ndarray, region: np.ndarray, tolerance: float = TOLERANCE
) -> tuple[np.ndarray, np.ndarray]:
  """Whether the most relevant pixel lies in the region, or close to it.

  Args:
    relevance: float [N, H, W].
    region: as in `share_inside`; pixels of which at least half lies in it count.
    tolerance: how far outside the peak may lie, as a share of the short side.

  Returns:
    hits: float64 [N], 1 or 0; where several pixels share the maximum, the share of them that hits.
      nan where a map is the same everywhere and so has no peak.
    chance: float64 [N], the probability that a random pixel hits.

  Source: Zhang et al., Top-down neural attention by excitation backprop, IJCV 126 (2018), 4.2.
  """
  radius = round(tolerance * min(relevance.shape[1:]))
  hits, chance = [], []
  for one, part in zip(np.asarray(relevance), np.asarray(region), strict=True):
    near = _grown(part >= 0.5, radius)
    peak = one == one.max()
    hits.append(float(near[peak].mean()) if one.max() > one.min() else np.nan)
    chance.append(float(near.mean()))
  return np.array(hits), np.array(chance)


def _grown(mask: np.ndarray, radius_px: int) -> np.ndarray:
  """Every pixel within a distance of the mask, bool [H, W]."""
  if not radius_px or not mask.any():
    return mask
  outside = (~mask).astype(np.uint8)
  return cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= radius_px
