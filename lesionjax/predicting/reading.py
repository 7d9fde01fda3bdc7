"""A file of any kind to pixels, or to the reason why there are none."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

import numpy as np

from lesionjax.data.decode import DecodeError, Size, decode_pixels, reduction
from lesionjax.predicting import headers


class Photograph(NamedTuple):
  """A decoded image.

  Attributes:
    pixels: uint8 [H, W, 3] RGB.
    notes: see `headers.Header`.
  """

  pixels: np.ndarray
  notes: tuple[str, ...]


def read_photograph(path: str, fit_px: Size | None = None) -> Photograph:
  """Reads and decodes an image; as in training, an orientation tag is ignored.

  Args:
    path: of the file.
    fit_px: side, or height and width, that is needed at least: a large JPEG is decoded smaller;
      None decodes it in full.

  Returns:
    The Photograph.

  Raises:
    DecodeError: why there is none; the message continues a sentence about the image.
  """
  data = _read_bytes(path)
  header = headers.read_header(data)
  factor = 1 if fit_px is None else reduction(data, fit_px)
  try:
    return Photograph(decode_pixels(data, factor), header.notes)
  except DecodeError as error:
    raise DecodeError(f'is a damaged {header.kind} that cannot be decoded') from error


def _read_bytes(path: str) -> bytes:
  """The bytes of a regular file: a pipe or a device could keep its reader waiting for ever."""
  try:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, 'rb') as file:
      found = os.fstat(file.fileno())
      if not stat.S_ISREG(found.st_mode):
        raise DecodeError('is no file')
      if found.st_size > headers.MAX_BYTES:
        raise DecodeError(
          f'has {found.st_size:,} bytes, more than the {headers.MAX_BYTES:,} allowed'
        )
      return file.read(headers.MAX_BYTES + 1)
  except IsADirectoryError as error:
    raise DecodeError('is a directory') from error
  except (OSError, ValueError) as error:  # a name may hold what no file system takes
    reason = getattr(error, 'strerror', None) or str(error)
    raise DecodeError(f'cannot be read ({reason})') from error
