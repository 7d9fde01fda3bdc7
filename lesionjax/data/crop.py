"""Where the lesion lies in an image: the rectangle to cut out."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from data_builders.cleaning import regions
from data_builders.errors import UserError

MIN_SHARE = 0.001
"""Of the image's area; the smallest lesions of ISIC 2018 Task 1 cover four times as much."""


@dataclasses.dataclass(frozen=True)
class CropBox:
  """The rectangle around the region of a mask whose outer contour encloses most.

  Attributes:
    top: of the upright bounding rectangle with its margin, clipped to the image, in pixels.
    left: likewise.
    bottom: likewise, exclusive.
    right: likewise, exclusive.
    touches_border: the lesion itself, without margin, reaches the outermost row or column: part of
      it may lie outside, and the margin is missing there.
    area_share: pixels inside the contour, holes included, as a share of the image's.
  """

  top: int
  left: int
  bottom: int
  right: int
  touches_border: bool
  area_share: float

  @property
  def slices(self) -> tuple[slice, slice]:
    """Rows and columns: `image[box.slices]` is the crop."""
    return slice(self.top, self.bottom), slice(self.left, self.right)


def crop_box(mask: np.ndarray, margin: float = 0.1, min_share: float = MIN_SHARE) -> CropBox | None:
  """Finds the largest contour of a mask and the rectangle around it.

  Args:
    mask: bool [H, W].
    margin: added on every side of the rectangle, as a share of its longer side, at least 0; what
      would lie outside the image is left out, not filled up.
    min_share: contours that enclose a smaller share of the image are none.

  Returns:
    The rectangle, or None where there is no usable contour: callers then show the whole image, and
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
  largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
  left, top, width, height, area = (int(value) for value in stats[largest])
  if area < min_share * mask.size:
    return None
  rows, columns = mask.shape
  bottom, right = top + height, left + width
  extra = round(margin * max(width, height))
  return CropBox(
    top=max(0, top - extra),
    left=max(0, left - extra),
    bottom=min(rows, bottom + extra),
    right=min(columns, right + extra),
    touches_border=top == 0 or left == 0 or bottom == rows or right == columns,
    area_share=area / mask.size,
  )
