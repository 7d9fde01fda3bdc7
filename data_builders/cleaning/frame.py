"""The black frame that a dermoscope's tube leaves around its round field of view."""

from __future__ import annotations

import cv2
import numpy as np

Box = tuple[int, int, int, int]
"""top, left, bottom, right in pixels, the last two exclusive."""

_WORK_PX = 256
_BLACK = 40  # of 255: no skin, and no lesion that is lit, is as dark in every channel
_BLACK_SHARE = 0.3  # of the field's own brightness, so that dark skin is no frame
_SOLID = 0.97  # the field is convex; a dark lesion that touches the border bites into it
_FIELD_SHARE = (0.3, 0.98)  # of the image; a field outside of this is none or needs no cut
_CORNERS = 2  # that a frame covers at least
_DARK_SHARE = 0.5  # of an outermost row or column, from which on it is cut


def find_box(image: np.ndarray) -> Box | None:
  """Finds the box inside a black frame.

  The field of view is the largest bright region with its holes filled. It is believed only where
  it is convex, leaves at least two corners black and stands out from a frame that is nearly black
  in every channel. Rows and columns are then cut from outside while more than half of them is
  black, so that a round field loses 8 % of its area, at the rim, and keeps dark tips of corners.

  Args:
    image: uint8 [H, W, 3] RGB.

  Returns:
    (top, left, bottom, right) to keep; None where there is no frame, or where one is doubtful.
  """
  field = _believed_field(image)
  if field is None:
    return None
  top, left, bottom, right = _shrink(field)
  if (top, left, bottom, right) == (0, 0, *field.shape):
    return None
  height, width = image.shape[:2]
  # A pixel of the small image inwards: its edge mixes field and frame.
  rows, columns = height / field.shape[0], width / field.shape[1]
  return (
    int(np.ceil((top + (top > 0)) * rows)),
    int(np.ceil((left + (left > 0)) * columns)),
    int((bottom - (bottom < field.shape[0])) * rows),
    int((right - (right < field.shape[1])) * columns),
  )


def frame_mask(image: np.ndarray) -> np.ndarray:
  """Finds the pixels of a black frame, the corners that `find_box` would keep included.

  Args:
    image: uint8 [H, W, 3] RGB.

  Returns:
    bool [H, W]; False everywhere where there is no frame, or where one is doubtful.
  """
  field = _believed_field(image)
  if field is None:
    return np.zeros(image.shape[:2], bool)
  size = image.shape[1], image.shape[0]
  return cv2.resize((~field).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def cut(image: np.ndarray, box: Box | None) -> np.ndarray:
  """Cuts an image or mask [H, W, ...] to the box; None leaves it as it is."""
  if box is None:
    return image
  top, left, bottom, right = box
  return np.ascontiguousarray(image[top:bottom, left:right])


def _believed_field(image: np.ndarray) -> np.ndarray | None:
  """The field of view in a small copy of the image, bool [h, w]; None where there is no frame."""
  height, width = image.shape[:2]
  scale = min(1.0, _WORK_PX / max(height, width))
  small_size = (max(1, round(width * scale)), max(1, round(height * scale)))
  small = cv2.resize(image, small_size, interpolation=cv2.INTER_AREA)
  brightest = cv2.medianBlur(small.max(axis=2), 5)  # hairs that cross the rim cut no field
  limit = min(_BLACK, _BLACK_SHARE * float(np.percentile(brightest, 75)))
  field = _largest_filled(brightest > limit)
  if field is None or not _is_round_or_square(field) or not _frame_is_black(brightest, field):
    return None
  return field


def _largest_filled(bright: np.ndarray) -> np.ndarray | None:
  """The largest region of a bool image, its holes filled, as bool [H, W]."""
  contours, _ = cv2.findContours(bright.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
  if not contours:
    return None
  filled = np.zeros(bright.shape, np.uint8)
  cv2.drawContours(filled, [max(contours, key=cv2.contourArea)], -1, 1, cv2.FILLED)
  return filled.astype(bool)


def _is_round_or_square(field: np.ndarray) -> bool:
  share = float(field.mean())
  if not _FIELD_SHARE[0] <= share <= _FIELD_SHARE[1]:
    return False
  if sum(not corner for corner in (*field[0, [0, -1]], *field[-1, [0, -1]])) < _CORNERS:
    return False
  contours, _ = cv2.findContours(field.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
  hull = np.zeros(field.shape, np.uint8)
  cv2.fillConvexPoly(hull, cv2.convexHull(contours[0]), 1)
  return float(field.sum()) >= _SOLID * float(hull.sum())


def _frame_is_black(brightest: np.ndarray, field: np.ndarray) -> bool:
  """Whether the frame is far darker than the skin just inside the rim."""
  kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
  inner = cv2.erode(field.astype(np.uint8), kernel, borderValue=1).astype(bool)
  rim = field & ~inner
  if not rim.any() or field.all():
    return False
  return float(np.median(brightest[~field])) < 0.4 * float(np.median(brightest[rim]))


def _shrink(field: np.ndarray) -> Box:
  """Moves the sides of the image inwards while most of a side is black."""
  top, left, (bottom, right) = 0, 0, field.shape
  while True:
    inside = field[top:bottom, left:right]
    sides = [inside[0], inside[:, 0], inside[-1], inside[:, -1]]
    dark = [1 - float(side.mean()) for side in sides]
    worst = int(np.argmax(dark))
    if dark[worst] <= _DARK_SHARE or min(inside.shape) <= 2:
      return top, left, bottom, right
    top, left = top + (worst == 0), left + (worst == 1)
    bottom, right = bottom - (worst == 2), right - (worst == 3)
