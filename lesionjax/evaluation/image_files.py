"""Images by id from directories and zip archives, for the searches for copies."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from data_builders.archives import MAX_MEMBER_BYTES, ZippedImages
from data_builders.cleaning import encoded
from data_builders.errors import UserError
from data_builders.images import MAX_PIXELS

SUFFIXES = ('.jpg', '.jpeg', '.png')
_PNG_START = b'\x89PNG\r\n\x1a\n'

ReadImage = Callable[[str], bytes]
"""Image id -> encoded image."""

# One image per thread: OpenCV's own pool on top of the reading threads only makes them wait.
cv2.setNumThreads(1)


class ImageFiles:
  """The JPEGs and PNGs below directories and in zip archives; the id is the name without suffix.

  Zip archives that lie in a given directory count too. Reading is thread-safe.
  """

  def __init__(self, places: Sequence[str | os.PathLike[str]]):
    """Lists the images.

    Args:
      places: directories and zip archives.

    Raises:
      UserError: a place is missing or damaged, holds no image, or an id occurs twice.
    """
    self._paths: dict[str, pathlib.Path] = {}
    self._zipped: dict[str, ZippedImages] = {}
    zips = []
    for place in map(pathlib.Path, places):
      if place.is_dir():
        zips += sorted(place.glob('*.zip'))
        for path in sorted(p for p in place.rglob('*') if p.suffix.lower() in SUFFIXES):
          self._check_new(path.stem, str(path))
          self._paths[path.stem] = path
      elif place.is_file():
        zips.append(place)
      else:
        raise UserError(f'--images={place} is neither a directory nor a zip archive; check it.')
    with contextlib.ExitStack() as stack:
      for suffix in SUFFIXES:
        members = stack.enter_context(ZippedImages(zips, suffix))
        for image_id in members.ids():
          self._check_new(image_id, members.where(image_id))
          self._zipped[image_id] = members
      self._stack = stack.pop_all()
    if not self.ids():
      self.close()
      where = ', '.join(map(str, places))
      raise UserError(f'{where} holds no image ({", ".join(SUFFIXES)}); check --images.')

  def __enter__(self) -> ImageFiles:
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  def close(self) -> None:
    """Closes the archives."""
    self._stack.close()

  def ids(self) -> set[str]:
    """Returns the ids of all images."""
    return self._paths.keys() | self._zipped.keys()

  def read(self, image_id: str) -> bytes:
    """Returns an encoded image.

    Raises:
      UserError: the file is too large or cannot be read.
    """
    if image_id in self._zipped:
      return self._zipped[image_id].read(image_id)
    path = self._paths[image_id]
    try:
      if path.stat().st_size > MAX_MEMBER_BYTES:
        raise UserError(f'{path} is larger than the {MAX_MEMBER_BYTES} bytes allowed; replace it.')
      return path.read_bytes()
    except OSError as error:
      raise UserError(f'{path} cannot be read ({error.strerror}); check the file.') from error

  def _check_new(self, image_id: str, where: str) -> None:
    if image_id in self._paths or image_id in self._zipped:
      raise UserError(f'{image_id} is twice in the images, once as {where}; keep one of them.')


def read_squares(
  image_ids: Sequence[str], read: ReadImage, size_px: int, threads: int | None = None
) -> np.ndarray:
  """Decodes images small, stretches them to squares and turns them grey.

  Args:
    image_ids: [N] ids.
    read: gives the encoded image of an id.
    size_px: side of the squares.
    threads: decoding threads; None is one a core.

  Returns:
    uint8 [N, size_px, size_px].

  Raises:
    UserError: an image is damaged or has more than `MAX_PIXELS` pixels; names it.
  """

  def one(image_id: str) -> np.ndarray:
    return read_square(image_id, read, size_px)

  with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
    squares = list(pool.map(one, image_ids))
  return np.stack(squares) if squares else np.zeros((0, size_px, size_px), np.uint8)


def read_square(image_id: str, read: ReadImage, size_px: int) -> np.ndarray:
  """One image as in `read_squares`: uint8 [size_px, size_px]."""
  grey = _decode_grey(image_id, read(image_id), size_px)
  return cv2.resize(grey, (size_px, size_px), interpolation=cv2.INTER_AREA)


def read_grey(image_id: str, read: ReadImage, shorter_px: int) -> np.ndarray:
  """One image in grey with its own aspect ratio.

  Args:
    image_id: its id.
    read: gives the encoded image of an id.
    shorter_px: the shorter side of the result; smaller images are enlarged.

  Returns:
    uint8 [H, W], min(H, W) == shorter_px.

  Raises:
    UserError: as `read_squares`.
  """
  grey = _decode_grey(image_id, read(image_id), shorter_px)
  scale = shorter_px / min(grey.shape)
  if scale == 1:
    return grey
  height, width = (round(side * scale) for side in grey.shape)
  method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
  return cv2.resize(grey, (width, height), interpolation=method)


def _decode_grey(image_id: str, data: bytes, size_px: int) -> np.ndarray:
  """Decodes an image; a JPEG at the fraction that leaves its shorter side at least `size_px`."""
  height, width = encoded.jpeg_size(data) or _png_size(data)
  if height * width > MAX_PIXELS:
    raise UserError(
      f'Image {image_id} has {width}x{height} pixels, more than the {MAX_PIXELS} allowed; replace'
      ' it.'
    )
  reduction = next((f for f in (8, 4, 2) if min(height, width) >= f * size_px), 1)
  try:
    image = encoded.decode_rgb(data, reduction)
  except UserError as error:
    raise UserError(f'Image {image_id} is damaged: {error}') from error
  return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def _png_size(data: bytes) -> tuple[int, int]:
  """Height and width from a PNG's header; 0, 0 for what is no PNG."""
  if not data.startswith(_PNG_START):
    return 0, 0
  return int.from_bytes(data[20:24]), int.from_bytes(data[16:20])
