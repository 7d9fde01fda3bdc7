"""Photographs on a page: small JPEGs, inlined."""

from __future__ import annotations

import base64

import cv2
import numpy as np

_MAX_PX = 192
# Colour at full resolution: halved, as is usual, thin orange outlines turn olive.
_JPEG = (
  cv2.IMWRITE_JPEG_QUALITY,
  90,
  cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
  cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)


def shrink(image: np.ndarray, most_px: int = _MAX_PX) -> np.ndarray:
  """Shrinks an image uint8 [H, W, 3] until its longer side has at most `most_px`."""
  scale = most_px / max(image.shape[:2])
  if scale >= 1:
    return image
  height, width = (max(1, round(side * scale)) for side in image.shape[:2])  # a strip keeps a pixel
  return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def data_uri(image: np.ndarray) -> str:
  """An image uint8 [H, W, 3] RGB as the source of an <img>."""
  bgr = np.ascontiguousarray(image[..., ::-1])
  _, encoded = cv2.imencode('.jpg', bgr, _JPEG)
  return 'data:image/jpeg;base64,' + base64.b64encode(encoded.tobytes()).decode()
