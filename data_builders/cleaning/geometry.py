"""Resize policies: one image (and its lesion mask) of any size to a square."""

from __future__ import annotations

import cv2
import numpy as np

_VGA_WIDTH, _VGA_HEIGHT = 640, 480


def resize(image: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
  """Resizes [H, W] or [H, W, C] to [height_px, width_px(, C)].

  Up to a factor of two, bilinear interpolation already uses every source pixel and is five times
  cheaper than averaging over areas; beyond, areas are averaged so that hairs do not alias.
  """
  height, width = image.shape[:2]
  if (height, width) == (height_px, width_px):
    return image
  averaging = height > 2 * height_px or width > 2 * width_px
  method = cv2.INTER_AREA if averaging else cv2.INTER_LINEAR
  return cv2.resize(image, (width_px, height_px), interpolation=method)


def resize_mask(mask: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
  """Resizes a mask uint8 [H, W] of 0 and 255; the result is binary too.

  It is resized exactly as its image and a pixel is lesion where at least half of it is. Nearest
  neighbour would let one source pixel decide for all, and shifts the outline by up to half a pixel.
  """
  return binary(resize(mask, width_px, height_px))


def binary(mask: np.ndarray) -> np.ndarray:
  """255 where a mask uint8 [H, W] of shares, 255 for all, is at least half; 0 elsewhere."""
  return cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)[1]


def stretch(image: np.ndarray, size_px: int) -> np.ndarray:
  """Stretches to a square: everything stays in sight, the aspect ratio is lost."""
  return resize(image, size_px, size_px)


def crop(image: np.ndarray, size_px: int) -> np.ndarray:
  """Takes the central square of the short side: shapes stay true, the long ends are lost."""
  return resize(_central(image, min(image.shape[:2])), size_px, size_px)


def pad(image: np.ndarray, size_px: int) -> np.ndarray:
  """Fits the long side and adds black (0) on both short sides: nothing is lost, less is seen."""
  height, width = image.shape[:2]
  scale = size_px / max(height, width)
  inner_height, inner_width = (max(1, round(side * scale)) for side in (height, width))
  top, left = (size_px - inner_height) // 2, (size_px - inner_width) // 2
  result = np.zeros((size_px, size_px, *image.shape[2:]), image.dtype)
  inside = result[top : top + inner_height, left : left + inner_width]
  inside[...] = resize(image, inner_width, inner_height)
  return result


def vga(image: np.ndarray, size_px: int) -> np.ndarray:
  """Stretches to 640x480, takes the central 480x480 and resizes that (to 224 px in the source).

  Source: the unsegmented path of the two-stage melanoma system, whose classifier saw 224x224.
  """
  return resize(_central(resize(image, _VGA_WIDTH, _VGA_HEIGHT), _VGA_HEIGHT), size_px, size_px)


def _central(image: np.ndarray, side_px: int) -> np.ndarray:
  top, left = ((side - side_px) // 2 for side in image.shape[:2])
  return np.ascontiguousarray(image[top : top + side_px, left : left + side_px])
