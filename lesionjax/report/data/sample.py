"""What the pixels say, measured on a seeded sample; no image outlives its numbers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from data_builders import sharded
from data_builders.cleaning import encoded, hair
from data_builders.errors import UserError
from lesionjax.report.data.table import DataTable, Prepared

SIDE_PX = 256
"""Short side at which pixels are measured: sizes of one data set then are alike."""

DETECTORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  'tuned': hair.hair_mask,
  'published': functools.partial(hair.hair_mask, options=hair.PUBLISHED),
}
TRUE_HAIR = 'true'
"""Name of the stored hair masks among the detectors, where a data set has them."""


@dataclasses.dataclass(frozen=True)
class Sample:
  """Numbers of n images; rows point into the table.

  Attributes:
    rows: int [n], sorted.
    brightness: float [n], mean grey level, 0..255.
    contrast: float [n], standard deviation of the grey levels within the image.
    channels: float [n, 3], mean of red, green and blue, 0..255.
    hair_rows: int [m], a random part of `rows`.
    hair: detector -> float [m], share of the pixels that it calls hair.
    lesion_area: float [n], share of the pixels inside the mask; None without masks.
    lesion_at_border: bool [n], whether the mask touches the image's border.
    lesion_regions: int [n], connected regions of the mask.
  """

  rows: np.ndarray
  brightness: np.ndarray
  contrast: np.ndarray
  channels: np.ndarray
  hair_rows: np.ndarray
  hair: dict[str, np.ndarray]
  lesion_area: np.ndarray | None = None
  lesion_at_border: np.ndarray | None = None
  lesion_regions: np.ndarray | None = None


def measure(
  table: DataTable, prepared: Prepared, images: int, hair_images: int, seed: int = 0
) -> Sample:
  """Decodes a sample in threads and keeps its numbers.

  Args:
    table: rows of the data set; official test and validation sets are left out.
    prepared: where the pixels are.
    images: at most so many; all images where there are fewer.
    hair_images: at most so many of these are searched for hairs.
    seed: of the choice.

  Returns:
    The numbers.

  Raises:
    UserError: an image is damaged; names it.
  """
  pool = np.flatnonzero(table.ours) if table.ours.any() else np.arange(len(table))
  chosen = np.random.default_rng(seed).permutation(pool)[:images]
  hairy = set(chosen[:hair_images].tolist())
  rows = np.sort(chosen)

  def measure_row(row: int) -> dict[str, Any]:
    """All numbers of one image; `hair` holds a share of pixels for every detector, where asked."""
    keys = ('image', 'mask', 'hair_mask') if row in hairy else ('image', 'mask')
    pixels = prepared.pixels(str(table.split[row]), int(table.index[row]), keys)
    image = image_of(pixels, table, row)
    found = image_numbers(image)
    if table.has_mask is not None:
      found |= mask_numbers(mask_of(pixels, table, row))
    if row in hairy:
      found['hair'] = {name: float((mask(image) > 0).mean()) for name, mask in DETECTORS.items()}
      if 'hair_mask' in pixels:
        stored = mask_of(pixels, table, row, 'hair_mask')
        found['hair'][TRUE_HAIR] = float((stored > 0).mean())
    return found

  measured = list(sharded.ordered_map(measure_row, rows.tolist()))
  columns = {key: np.array([one[key] for one in measured]) for key in measured[0] if key != 'hair'}
  with_hair = [one['hair'] for one in measured if 'hair' in one]
  names = with_hair[0] if with_hair else {}
  return Sample(
    rows=rows,
    hair_rows=rows[[row in hairy for row in rows.tolist()]],
    hair={name: np.array([one[name] for one in with_hair]) for name in names},
    **columns,
  )


def image_numbers(image: np.ndarray) -> dict[str, Any]:
  """Brightness, contrast and channel means of uint8 [H, W, 3] RGB; see `Sample`."""
  mean, deviation = cv2.meanStdDev(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
  return {
    'brightness': float(mean[0, 0]),
    'contrast': float(deviation[0, 0]),
    'channels': cv2.mean(image)[:3],
  }


def mask_numbers(mask: np.ndarray) -> dict[str, Any]:
  """Area, contact with the border and regions of a mask uint8 [H, W] of 0 and 255."""
  inside = (mask > 127).astype(np.uint8)
  edges = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
  return {
    'lesion_area': float(inside.mean()),
    'lesion_at_border': any(edge.any() for edge in edges),
    'lesion_regions': cv2.connectedComponents(inside, connectivity=8)[0] - 1,
  }


def decode_small(data: bytes, side_px: int = SIDE_PX) -> np.ndarray:
  """Decodes an image and shrinks its short side to `side_px`; smaller ones stay as they are.

  A JPEG is decoded at the fraction of its size that is still large enough.

  Returns:
    uint8 [H, W, 3] RGB.

  Raises:
    UserError: the bytes are damaged or no image.
  """
  size = encoded.jpeg_size(data)
  reduction = next((f for f in (8, 4, 2) if size and min(size) >= f * side_px), 1)
  image = encoded.decode_rgb(data, reduction)
  scale = side_px / min(image.shape[:2])
  if scale >= 1:
    return image
  width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
  return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def examples(table: DataTable, per_class: int, seed: int = 0) -> list[tuple[int, np.ndarray]]:
  """Rows of training images to show: drawn at random in each class, one of a group at most.

  Args:
    table: rows of the data set.
    per_class: at most so many of each class; six times as many where there are no classes.
    seed: of the choice.

  Returns:
    (label, int rows), classes without a training image left out; label -1 for no classes.
  """
  train = np.flatnonzero(table.split == 'train')
  train = np.random.default_rng(seed).permutation(train)
  _, first = np.unique(table.texts['group_id'][train], return_index=True)
  train = train[np.sort(first)]
  if not table.class_names:
    return [(-1, train[: 6 * per_class])] if len(train) else []
  found = [
    (label, train[table.label[train] == label][:per_class])
    for label in range(len(table.class_names))
  ]
  return [(label, rows) for label, rows in found if len(rows)]


def image_of(pixels: dict[str, bytes], table: DataTable, row: int) -> np.ndarray:
  """The image of a row, as `decode_small` gives it.

  Raises:
    UserError: it is damaged; names it.
  """
  return _checked(decode_small, pixels, 'image', table, row)


def mask_of(pixels: dict[str, bytes], table: DataTable, row: int, key: str = 'mask') -> np.ndarray:
  """The mask of a row, uint8 [H, W].

  Raises:
    UserError: it is damaged; names its image.
  """
  return _checked(_decode_grey, pixels, key, table, row)


def _decode_grey(data: bytes) -> np.ndarray:
  mask = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
  if mask is None:
    raise UserError('The mask is not a PNG that OpenCV can decode.')
  return mask


def _checked(
  decode: Callable[[bytes], np.ndarray],
  pixels: dict[str, bytes],
  key: str,
  table: DataTable,
  row: int,
) -> np.ndarray:
  try:
    return decode(pixels[key])
  except UserError as error:
    reason = str(error).partition(';')[0].rstrip('.')
    raise UserError(
      f'The {key} of {table.texts["image_id"][row]} ({table.name}, split {table.split[row]}) is '
      f'damaged ({reason}); delete the prepared data set and build it again.'
    ) from error
