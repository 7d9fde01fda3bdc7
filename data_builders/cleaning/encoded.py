"""Encoded image bytes to pixels and back."""

from __future__ import annotations

import cv2
import numpy as np

from data_builders.errors import UserError

JPEG_QUALITY = 95
_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
_REDUCED = {
  8: cv2.IMREAD_REDUCED_COLOR_8,
  4: cv2.IMREAD_REDUCED_COLOR_4,
  2: cv2.IMREAD_REDUCED_COLOR_2,
  1: cv2.IMREAD_COLOR,
}


def decode_rgb(data: bytes, reduction: int = 1) -> np.ndarray:
  """Decodes a JPEG or PNG to uint8 [H, W, 3] RGB.

  The orientation tag is ignored, because masks are drawn on the pixels as stored.

  Args:
    data: the encoded image.
    reduction: 1, 2, 4 or 8: decodes a JPEG at that fraction of its size, rounded up.

  Raises:
    UserError: the bytes are truncated or no image.
  """
  if data[:2] == _JPEG_START and data.rfind(_JPEG_END) < 0:
    raise UserError('The JPEG is truncated; download it again.')  # libjpeg would fill in grey
  flags = _REDUCED[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
  try:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
  except cv2.error:
    image = None
  if image is None:
    raise UserError('The bytes are not an image that OpenCV can decode; replace it by a JPEG.')
  return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def encode_jpeg(image: np.ndarray) -> bytes:
  """Encodes uint8 [H, W, 3] RGB at quality 95 without subsampling of colour.

  Small images have their detail in single pixels, which halved colour planes would smear.
  """
  options = [
    cv2.IMWRITE_JPEG_QUALITY,
    JPEG_QUALITY,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
  ]
  return cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def jpeg_size(data: bytes) -> tuple[int, int] | None:
  """Height and width from a JPEG's frame header without decoding; None where there is none."""
  if data[:2] != _JPEG_START:
    return None
  at = 2
  while at + 9 <= len(data) and data[at] == 0xFF:
    marker = data[at + 1]
    if marker == 0xFF:  # fill byte
      at += 1
    elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
      return int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
    else:
      at += 2 + int.from_bytes(data[at + 2 : at + 4])
  return None


def fitting_reduction(data: bytes, size_px: int) -> int:
  """The largest of 8, 4, 2, 1 that leaves a JPEG's short side at least `size_px`.

  Both sides must be multiples of twice the factor: then a central crop of the small image is the
  one of the large image, to the pixel. 1 for other formats.
  """
  size = jpeg_size(data)
  if size is None:
    return 1
  return next(
    (
      factor
      for factor in (8, 4, 2)
      if min(size) >= factor * size_px and not any(side % (2 * factor) for side in size)
    ),
    1,
  )
