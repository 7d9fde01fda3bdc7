"""Contrast and colour of one image: CLAHE on lightness, shades-of-grey colour constancy."""

from __future__ import annotations

import cv2
import numpy as np


def clahe(image: np.ndarray, clip: float = 2.0, tiles: int = 8) -> np.ndarray:
  """Equalises lightness tile by tile; the colour planes A and B of CIELAB stay as they are.

  Args:
    image: uint8 [H, W, 3] RGB.
    clip: contrast limit, in multiples of a flat histogram.
    tiles: tiles along each side.

  Returns:
    uint8 [H, W, 3] RGB.

  Source: Pizer et al., Adaptive histogram equalization and its variations (1987); clip and tiles
  are those of the published four-strategies pipeline.
  """
  lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
  lightness = cv2.createCLAHE(clipLimit=clip, tileGridSize=(tiles, tiles)).apply(lab[..., 0])
  return cv2.cvtColor(cv2.merge([lightness, lab[..., 1], lab[..., 2]]), cv2.COLOR_LAB2RGB)


def shades_of_grey(image: np.ndarray, power: int = 6) -> np.ndarray:
  """Removes the colour of the light, taken to be the Minkowski mean of each channel.

  A channel is multiplied by |e| / (sqrt(3) e_c) with e_c = mean(I_c ^ p) ^ (1 / p), so that a grey
  image stays as it is; values above 255 are clipped. Values are used as stored (sRGB), as is usual
  for dermoscopy (Barata et al. 2015).

  Args:
    image: uint8 [H, W, 3] RGB.
    power: p; 1 is grey world, infinity would be max-RGB.

  Returns:
    uint8 [H, W, 3] RGB.

  Source: Finlayson and Trezzi, Shades of gray and colour constancy, Color and Imaging Conference
  (2004), which found p = 6 best.
  """
  levels = np.arange(256, dtype=np.float64)
  planes = cv2.split(image)
  counts = [cv2.calcHist([plane], [0], None, [256], [0, 256]).ravel() for plane in planes]
  light = np.array([np.average((levels / 255) ** power, weights=c) for c in counts])
  light **= 1 / power
  if light.min() < 1 / 255:  # no light to speak of in a channel: nothing to divide by
    return image.copy()
  gains = np.linalg.norm(light) / (np.sqrt(3) * light)
  tables = np.clip(np.rint(levels[:, None] * gains), 0, 255).astype(np.uint8)
  return cv2.LUT(image, tables[None])
