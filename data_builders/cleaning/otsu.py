"""Lesion masks without training: the darker of two classes of grey, tidied up.

What a network's masks are held against, and a stand-in where there is no network. It takes for
lesion what is darker than its surroundings, so it fails on pale lesions, on dark hair, and where
the light falls off; nothing in it knows what a lesion looks like.
"""

from __future__ import annotations

import cv2
import numpy as np

from data_builders.cleaning import regions

_BLACK = 40  # as in `frame`: of 255; no lit skin or lesion is as dark in every channel
_BLACK_SHARE = 0.3  # of the image's own brightness, so that dark skin is no frame
_CLOSE = 0.02  # of the short side, radius: joins what hairs and gloss cut apart
_MIN_AREA = 0.005  # of the image: smaller regions are dirt
_FRAME_MARGIN = 0.02  # of the short side: the rim of a black frame is shaded


def otsu_mask(image: np.ndarray) -> np.ndarray:
  """Segments the lesion: grey, Otsu's threshold, closing, tidying, largest region.

  1. Black corners and frames (nearly black in every channel and joined to the border) are set
     aside: they would be the darker class by themselves.
  2. Grey, then Otsu's threshold of the pixels that are left; the darker class is lesion.
  3. Closing.
  4. Small regions go, then those that touch the border of the image or the frame, which are mostly
     shadow; where that would leave nothing they stay, since many lesions are cut by the image.
  5. The largest region, its holes filled.

  Args:
    image: uint8 [H, W, 3] RGB.

  Returns:
    bool [H, W]; empty where the image has one grey only, or no region is large enough.

  Source: Otsu, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9 (1979);
  Celebi et al., Lesion border detection in dermoscopy images, Comput. Med. Imaging Graph. 33
  (2009), for what is done before and after thresholds.
  """
  short = min(image.shape[:2])
  grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
  visible = ~_frame(image, round(_FRAME_MARGIN * short))
  if not visible.any():
    return np.zeros(grey.shape, bool)
  levels = grey[visible]
  threshold, _ = cv2.threshold(levels[:, None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
  if levels.min() == levels.max():
    return np.zeros(grey.shape, bool)
  mask = ((grey <= threshold) & visible).astype(np.uint8)
  mask = _close(mask, round(_CLOSE * short)) & visible
  mask = regions.without_small(mask, _MIN_AREA * mask.size)
  mask = _off_the_border(mask, visible)
  return regions.fill_holes(regions.largest_component(mask))


def _frame(image: np.ndarray, margin_px: int) -> np.ndarray:
  """Nearly black regions that touch the border, bool [H, W]."""
  brightest = image.max(axis=2)
  limit = min(_BLACK, _BLACK_SHARE * float(np.percentile(brightest, 75)))
  labels, _ = regions.components(brightest <= limit)
  touching = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
  black = np.isin(labels, touching[touching > 0])
  return cv2.dilate(black.astype(np.uint8), _disk(margin_px)) > 0 if margin_px else black


def _close(mask: np.ndarray, radius_px: int) -> np.ndarray:
  if not radius_px:  # images below 25 px
    return mask > 0
  # Mirrored outside, so that the border neither attracts nor repels.
  wide = np.pad(mask, radius_px, mode='reflect')
  closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, _disk(radius_px))
  return closed[radius_px:-radius_px, radius_px:-radius_px] > 0


def _off_the_border(mask: np.ndarray, visible: np.ndarray) -> np.ndarray:
  """Removes the regions that touch the border or the frame, unless all do."""
  labels, stats = regions.components(mask)
  inside = cv2.erode(np.pad(visible, 1).astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1]
  keep = np.ones(len(stats), bool)
  keep[0] = False  # background
  keep[labels[inside == 0]] = False
  return keep[labels] if keep.any() else mask


def _disk(radius_px: int) -> np.ndarray:
  side = 2 * radius_px + 1
  return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
