"""Encoded image bytes to a small rectangle of pixels, the same for training and evaluation."""

from __future__ import annotations

import cv2
import numpy as np

from data_builders.cleaning import geometry
from data_builders.cleaning.encoded import decode_rgb, jpeg_size
from data_builders.cleaning.pipeline import Pipeline
from data_builders.errors import UserError
from data_builders.images import MAX_PIXELS, is_png, png_header

Size = int | tuple[int, int]
"""Side of a square, or height and width, in px."""

# One image per thread: OpenCV's own pool on top of the reading threads only makes them wait.
cv2.setNumThreads(1)


class DecodeError(ValueError):
  """Bytes that are no whole image; the message says why."""


def sides(size_px: Size) -> tuple[int, int]:
  """Returns height and width, in px."""
  return (size_px, size_px) if isinstance(size_px, int) else size_px


def decode_image(data: bytes, size_px: Size, preprocessing: Pipeline | None = None) -> np.ndarray:
  """Decodes a colour image, preprocesses it and stretches it to its size.

  A JPEG at least 2, 4 or 8 times as large as asked for on both sides is decoded at that fraction:
  the decoder then computes only the frequencies that survive, which saves a third of the time and
  differs from decoding in full and averaging by less than one grey level in the mean. Preprocessing
  sees the image in full. The orientation tag is ignored, because masks are drawn on the pixels as
  stored.

  Args:
    data: an encoded JPEG or PNG.
    size_px: side, or height and width, of the result.
    preprocessing: what is done before the image is resized.

  Returns:
    uint8 [height, width, 3], RGB.

  Raises:
    DecodeError: when the bytes are truncated or no image.
  """
  whole = preprocessing is not None and bool(preprocessing.steps)
  return fit(decode_pixels(data, 1 if whole else reduction(data, size_px)), size_px, preprocessing)


def decode_pixels(data: bytes, factor: int = 1) -> np.ndarray:
  """Decodes a colour image at 1 / factor of its size.

  Args:
    data: an encoded JPEG or PNG.
    factor: 1, or for a JPEG 2, 4 or 8.

  Returns:
    uint8 [h, w, 3], RGB.

  Raises:
    DecodeError: when the bytes are truncated or no image.
  """
  try:
    return decode_rgb(data, factor)
  except UserError as error:
    raise DecodeError(str(error).partition(';')[0]) from error


def decode_mask(data: bytes, shape: tuple[int, int]) -> np.ndarray:
  """Decodes a mask and resizes it to its image where that was decoded smaller.

  Args:
    data: an encoded PNG, 0 outside and 255 inside of the lesion.
    shape: height and width of the image, in px.

  Returns:
    uint8 [height, width] of 0 and 255.

  Raises:
    DecodeError: as `decode_plane`.
  """
  return geometry.resize_mask(decode_plane(data), shape[1], shape[0])


def decode_plane(data: bytes) -> np.ndarray:
  """Decodes a mask as it is stored, uint8 [h, w] of 0 and 255.

  Raises:
    DecodeError: when the bytes are no grey 8-bit PNG, or hold other values; the message continues a
      sentence about the mask.
  """
  if not is_png(data):
    raise DecodeError('is no PNG')
  header = png_header(data)
  if header is None:
    raise DecodeError('is a truncated PNG')
  height, width, bits, kind = header
  if (bits, kind) != (8, 0):
    raise DecodeError('is no grey PNG of 8 bits')
  if height * width > MAX_PIXELS:
    raise DecodeError(f'has {width}x{height} pixels, more than the {MAX_PIXELS} allowed')
  mask = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
  if mask is None:
    raise DecodeError('cannot be decoded as a PNG')
  other = mask[(mask != 0) & (mask != 255)]
  if other.size:
    raise DecodeError(f'has the grey value {other[0]}, where only 0 and 255 are allowed')
  return mask


def fit(image: np.ndarray, size_px: Size, preprocessing: Pipeline | None = None) -> np.ndarray:
  """Preprocesses an image and stretches it to its size.

  Args:
    image: uint8 [H, W, 3] RGB.
    size_px: side, or height and width, of the result.
    preprocessing: as in `decode_image`.

  Returns:
    uint8 [height, width, 3].
  """
  if preprocessing is not None:
    image, _ = preprocessing.apply(image)
  height, width = sides(size_px)
  return geometry.resize(image, width, height)


def reduction(data: bytes, size_px: Size) -> int:
  """The largest of 8, 4, 2, 1 by which the JPEG may be decoded smaller; 1 for other formats."""
  have, want = jpeg_size(data) or (0, 0), sides(size_px)
  return next((n for n in (8, 4, 2) if all(h >= n * w for h, w in zip(have, want, strict=True))), 1)
