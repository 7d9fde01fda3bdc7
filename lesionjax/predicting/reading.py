"""A file of any kind to pixels, or to the reason why there are none."""

from __future__ import annotations

import dataclasses
import os
import stat

import numpy as np

from lesionjax.data.decode import DecodeError, Size, decode_pixels, reduction
from lesionjax.predicting.headers import MAX_BYTES, Header, read_header


@dataclasses.dataclass(frozen=True)
class Photograph:
  """An encoded image whose header was read.

  Attributes:
    data: the whole file.
    header: what it says of itself.
  """

  data: bytes
  header: Header

  def pixels(self, fit_px: Size | None = None) -> np.ndarray:
    """Decodes it; as in training, an orientation tag is ignored.

    Args:
      fit_px: side, or height and width, that is needed at least: a large JPEG is decoded smaller;
        None decodes it in full.

    Returns:
      uint8 [H, W, 3] RGB.

    Raises:
      DecodeError: it is damaged.
    """
    factor = 1 if fit_px is None else reduction(self.data, fit_px)
    try:
      return decode_pixels(self.data, factor)
    except DecodeError as error:
      raise DecodeError(f'is a damaged {self.header.kind} that cannot be decoded') from error


def read_photograph(path: str) -> Photograph:
  """Reads an image without decoding it.

  Args:
    path: of the file.

  Raises:
    DecodeError: why it is none; the message continues a sentence about the image.
  """
  data = _read_bytes(path)
  return Photograph(data, read_header(data))


def _read_bytes(path: str) -> bytes:
  """The bytes of a regular file: a pipe or a device could keep its reader waiting for ever."""
  try:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(handle, 'rb') as file:
      found = os.fstat(file.fileno())
      if not stat.S_ISREG(found.st_mode):
        raise DecodeError('is no file')
      if found.st_size > MAX_BYTES:
        raise DecodeError(f'has {found.st_size:,} bytes, more than the {MAX_BYTES:,} allowed')
      return file.read(MAX_BYTES)
  except IsADirectoryError as error:
    raise DecodeError('is a directory') from error
  except DecodeError:
    raise
  except (OSError, ValueError) as error:  # a name may hold what no file system takes
    reason = getattr(error, 'strerror', None) or str(error)
    raise DecodeError(f'cannot be read ({reason})') from error
