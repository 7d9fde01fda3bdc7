"""Where the lesion lies in an image, and the image cut or blacked out accordingly."""

from __future__ import annotations

import dataclasses

import numpy as np

from data_builders.cleaning import frame, regions
from data_builders.errors import UserError

KINDS = ('mask', 'crop', 'mask_crop')
MIN_SHARE = 0.001
"""Of the image's area; the smallest lesions of ISIC 2018 Task 1 cover six times as much."""


@dataclasses.dataclass(frozen=True)
class Lesion:
  """The region of a mask whose outer contour encloses most.

  Attributes:
    box: its upright bounding rectangle with the margin, clipped to the image.
    touches_border: the lesion itself, without margin, reaches the outermost row or column: part of
      it may lie outside, and the margin is missing there.
    area_share: pixels inside the contour, holes included, as a share of the image's.
  """

  box: frame.Box
  touches_border: bool
  area_share: float


def find(mask: np.ndarray, margin: float = 0.1, min_share: float = MIN_SHARE) -> Lesion | None:
  """Finds the largest contour of a mask.

  Args:
    mask: bool [H, W].
    margin: added on every side of the rectangle, as a share of its longer side, at least 0; what
      would lie outside the image is left out, not filled up.
    min_share: contours that enclose a smaller share of the image are none.

  Returns:
    The lesion, or None where there is no usable contour: callers then show the whole image, and
    count it.

  Raises:
    UserError: the margin is negative or no number.

  Source: the two-stage melanoma system (segment, bounding rectangle of the contour, classify),
  which dropped images without a contour and used no margin.
  """
  if not 0 <= margin < float('inf'):
    raise UserError(f'The margin around a lesion is {margin!r}; it must be 0 or more.')
  if mask.dtype != bool or mask.ndim != 2:
    raise ValueError(f'a mask is bool [H, W], not {mask.dtype} {mask.shape}')
  if not mask.any():
    return None
  _, stats = regions.components(regions.fill_holes(mask))
  left, top, width, height, area = (int(n) for n in stats[1 + int(stats[1:, 4].argmax())])
  if area < min_share * mask.size:
    return None
  rows, columns = mask.shape
  bottom, right = top + height, left + width
  extra = round(margin * max(width, height))
  return Lesion(
    box=(
      max(0, top - extra),
      max(0, left - extra),
      min(rows, bottom + extra),
      min(columns, right + extra),
    ),
    touches_border=top == 0 or left == 0 or bottom == rows or right == columns,
    area_share=area / mask.size,
  )


def isolate(image: np.ndarray, mask: np.ndarray, lesion: Lesion, kind: str) -> np.ndarray:
  """Shows the lesion without its surroundings.

  Args:
    image: uint8 [H, W, 3].
    mask: bool [H, W]; all its regions count as lesion, not the largest one only.
    lesion: as `find` returns for the mask.
    kind: 'mask' (skin becomes black), 'crop' (cut to the lesion's box), or 'mask_crop' (both).

  Returns:
    uint8 [h, w, 3], a new array; h = H and w = W for 'mask'.

  Raises:
    UserError: the mask is not of the image's size, or the kind is unknown.
  """
  if kind not in KINDS:
    raise UserError(f'{kind!r} is no way to show a lesion; it must be one of {", ".join(KINDS)}.')
  if mask.shape != image.shape[:2]:
    raise UserError(
      f'The mask is {mask.shape[1]}x{mask.shape[0]} and its image {image.shape[1]}x'
      f'{image.shape[0]} pixels; resize the mask to the size of the image.'
    )
  if kind == 'crop':
    return frame.cut(image, lesion.box).copy()
  alone = np.where(mask[..., None], image, np.uint8(0))
  return alone if kind == 'mask' else frame.cut(alone, lesion.box)
