"""Checks of encoded images and masks: TFDS stores whatever bytes it is given."""

from __future__ import annotations

import re
import struct

import cv2
import numpy as np

from data_builders.errors import UserError

MAX_PIXELS = 100_000_000
"""Larger images are refused before they are decoded; the archives' largest have 24 million."""

MIN_BYTES_PER_PIXEL = 0.002
"""A JPEG of one colour takes more; published images take fifty times as much."""

# A marker other than byte stuffing (00), restart (d0-d7) and fill (ff), so that inside scan data
# the next match is the end of the scan.
_JPEG_MARKER = re.compile(rb'\xff[\x01-\xcf\xd8-\xfe]')
_START, _END = 0xD8, 0xD9
_WITH_ALPHA = (4, 6)  # colour types of a PNG
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def check_jpeg(data: bytes, where: str) -> tuple[int, int]:
  """Checks that bytes are one complete three-channel 8-bit JPEG that decodes.

  OpenCV before 5 decodes a truncated JPEG without complaint and paints the rest grey, so the
  segments are walked to the end-of-image marker first (one in an embedded thumbnail does not
  count). Damage inside the scan goes unnoticed here; an archive's CRC covers it.

  Args:
    data: the encoded image.
    where: how to name the image in a message.

  Returns:
    (height, width) in pixels, as stored: an EXIF orientation is not applied.

  Raises:
    UserError: no JPEG, truncated, not three channels of 8 bits, too large, or undecodable.
  """
  height, width, channels, bits = jpeg_frame(data, where)
  if channels != 3 or bits != 8:
    raise UserError(
      f'{where} has {channels} channel(s) of {bits} bits; images must be JPEGs with three'
      ' channels of 8 bits, convert or replace it.'
    )
  if height * width > MAX_PIXELS:
    raise UserError(
      f'{where} has {width}x{height} pixels, more than the {MAX_PIXELS} allowed; replace it.'
    )
  if len(data) < MIN_BYTES_PER_PIXEL * height * width:
    raise UserError(
      f'{where} claims {width}x{height} pixels in {len(data)} bytes, too few for an image; download'
      ' the archive again.'
    )
  image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
  if image is None or image.shape != (height, width, 3) or image.dtype != np.uint8:
    raise UserError(f'{where} cannot be decoded as a JPEG; download the archive again.')
  return height, width


def binary_mask_png(data: bytes, shape: tuple[int, int], where: str) -> bytes:
  """Re-encodes a lesion mask as greyscale PNG with the values 0 and 255.

  The published masks are greyscale and palette PNGs, some with an inverted palette: decoding to
  grey gives 0 and 255 in all of them, reading palette indices would invert some.

  Args:
    data: the encoded mask, at most 8 bits, without alpha.
    shape: (height, width) of the image that it belongs to.
    where: how to name the mask in a message.

  Returns:
    The encoded PNG.

  Raises:
    UserError: no complete PNG, not of the image's size, 16 bits, alpha, or other values than 0
      and 255.
  """
  if not is_png(data):
    raise UserError(f'{where} is not a PNG; masks must be PNGs, restore the official archive.')
  header = png_header(data)
  if header is None:
    raise UserError(f'{where} is a truncated PNG; download the archive again.')
  # Before anything is decoded: a PNG of a kilobyte may claim gigabytes.
  height, width, bits, kind = header
  if (height, width) != tuple(shape):
    raise UserError(
      f'{where} has {width}x{height} pixels where its image has {shape[1]}x{shape[0]}; restore the'
      ' official mask.'
    )
  if bits > 8 or kind in _WITH_ALPHA:
    found = 'an alpha channel' if kind in _WITH_ALPHA else f'{bits} bits a pixel'
    raise UserError(
      f'{where} has {found}; masks must be grey or palette PNGs of at most 8 bits, convert it.'
    )
  mask = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
  if mask is None:
    raise UserError(f'{where} cannot be decoded as a PNG; download the archive again.')
  if np.any((mask != 0) & (mask != 255)):
    other = int(mask[(mask != 0) & (mask != 255)][0])
    raise UserError(f'{where} is no binary mask (grey value {other}); only 0 and 255 are allowed.')
  return cv2.imencode('.png', mask)[1].tobytes()


def encode_png(image: np.ndarray) -> bytes:
  """Returns an image uint8 [H, W, 3] RGB as a PNG."""
  return cv2.imencode('.png', np.ascontiguousarray(image[..., ::-1]))[1].tobytes()


def is_png(data: bytes) -> bool:
  """Whether bytes begin as a PNG does."""
  return data.startswith(b'\x89PNG\r\n\x1a\n')


def png_header(data: bytes) -> tuple[int, int, int, int] | None:
  """Height, width, bits a channel and colour type (0 is grey) of a PNG; None if it is cut off."""
  if b'IEND' not in data[-12:] or data[12:16] != b'IHDR':
    return None
  width, height, bits, kind = struct.unpack('>IIBB', data[16:26])
  return height, width, bits, kind


def jpeg_frame(data: bytes, where: str) -> tuple[int, int, int, int]:
  """Walks all segments of a JPEG to its end.

  Args:
    data: the encoded image.
    where: how to name the image in a message.

  Returns:
    (height, width, channels, bits per channel), of the last frame header.

  Raises:
    UserError: no JPEG, or truncated.
  """
  if not data.startswith(b'\xff\xd8\xff'):
    raise UserError(
      f'{where} is not a JPEG (it begins with {data[:4].hex(" ") or "nothing"}); download the'
      ' archive again.'
    )
  frame = None
  position = 2
  while match := _JPEG_MARKER.search(data, position):
    marker, position = data[match.start() + 1], match.end()
    if marker == _END and frame:
      return frame
    if marker in (0x01, _START, _END):
      continue
    if marker in _FRAMES and position + 8 <= len(data):
      bits, channels = data[position + 2], data[position + 7]
      height = int.from_bytes(data[position + 3 : position + 5], 'big')
      width = int.from_bytes(data[position + 5 : position + 7], 'big')
      frame = (height, width, channels, bits)
    position += max(2, int.from_bytes(data[position : position + 2], 'big'))
  raise UserError(
    f'{where} is a truncated JPEG (no end marker in {len(data)} bytes); download the archive again.'
  )
