"""Encoded image bytes to a small square of pixels, the same for training and evaluation."""

from __future__ import annotations

import cv2
import numpy as np

from data_builders.cleaning import geometry
from data_builders.cleaning.encoded import decode_rgb, jpeg_size
from data_builders.cleaning.pipeline import Pipeline
from data_builders.errors import UserError

# One image per thread: OpenCV's own pool on top of the reading threads only makes them wait.
cv2.setNumThreads(1)


class DecodeError(ValueError):
  """Bytes that are no whole image; the message says why."""


def decode_image(data: bytes, size_px: int, preprocessing: Pipeline | None = None) -> np.ndarray:
  """Decodes a colour image, preprocesses it and stretches it to a square.

  A JPEG at least 2, 4 or 8 times as large as asked for on both sides is decoded at that fraction:
  the decoder then computes only the frequencies that survive, which saves a third of the time and
  differs from decoding in full and averaging by less than one grey level in the mean. Preprocessing
  sees the image in full. The orientation tag is ignored, because masks are drawn on the pixels as
  stored.

  Args:
    data: an encoded JPEG or PNG.
    size_px: side of the result.
    preprocessing: what is done before the image is resized.

  Returns:
    uint8 [size_px, size_px, 3], RGB.

  Raises:
    DecodeError: when the bytes are truncated or no image.
  """
  reduction = 1 if preprocessing and preprocessing.steps else _reduction(data, size_px)
  try:
    image = decode_rgb(data, reduction)
  except UserError as error:
    raise DecodeError(str(error).partition(';')[0]) from error
  return fit(image, size_px, preprocessing)


def fit(image: np.ndarray, size_px: int, preprocessing: Pipeline | None = None) -> np.ndarray:
  """Preprocesses an image and stretches it to a square.

  Args:
    image: uint8 [H, W, 3] RGB.
    size_px: side of the result.
    preprocessing: as in `decode_image`.

  Returns:
    uint8 [size_px, size_px, 3].
  """
  if preprocessing is not None:
    image, _ = preprocessing.apply(image)
  return geometry.stretch(image, size_px)


def _reduction(data: bytes, size_px: int) -> int:
  """The largest of 8, 4, 2, 1 by which the JPEG may be decoded smaller; 1 for other formats."""
  shorter = min(jpeg_size(data) or (0, 0))
  return next((factor for factor in (8, 4, 2) if shorter >= factor * size_px), 1)
