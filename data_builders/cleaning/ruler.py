"""Printed rulers: rows of thin dark ticks, parallel and evenly spaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np

from data_builders.cleaning import geometry, lines, regions

_WORK_PX = 256  # short side at which all lengths below hold
_DIRECTIONS = 12
_WIDTH_PX = 5  # ticks are thinner ...
_LENGTH_PX = (4, 44)  # ... and so long
_DEPTH = 14  # grey levels that they are darker than what lies beside
_PITCH_PX = (3.5, 34)  # from one tick to the next
_TICKS = 8  # in a row: fewer parallel lines are hairs or ridges
_LAG = 0.16  # of the pitch, by which a tick may lie off its place ...
_LAG_PX = 1.0  # ... and rounding
_SKEW = 0.2  # of the pitch: the row runs across its ticks, or nearly
_EVEN = 0.06  # of the pitch, root mean square by which a row's ticks are off a straight, even row
_EVEN_PX = 0.6  # ... and rounding


@dataclasses.dataclass(frozen=True)
class _Tick:
  """A short line: its middle, and its ends along the direction that it was found in."""

  across: float
  start: float
  stop: float
  number: int


def ruler_mask(image: np.ndarray) -> np.ndarray:
  """Finds rulers.

  In each of twelve directions, thin dark lines are the image's black top-hat across the direction,
  opened along it. Short ones are ticks. A ruler is a row of at least eight ticks of one direction,
  one beside the other at one distance, of which no two neighbours are missing, that end on one side
  on a straight line. So hairs are none (not evenly spaced), a pigment network neither (its meshes
  do not line up), and a baseline or figures beside the ticks do no harm. Missed are rulers with
  light ticks, with fewer than eight ticks in sight, and ticks closer than 1.4 % of the short side.

  Args:
    image: uint8 [H, W, 3] RGB.

  Returns:
    bool [H, W]: the strips that the ticks lie in, half a distance wider on every side.
  """
  height, width = image.shape[:2]
  scale = _WORK_PX / min(height, width)
  grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
  plane = geometry.resize(grey, max(1, round(width * scale)), max(1, round(height * scale)))
  found = np.zeros(plane.shape, np.uint8)
  for turn in range(_DIRECTIONS):
    labels, ticks = _ticks(plane, turn)
    for row, pitch in _rows(ticks):
      strip = np.isin(labels, [tick.number for tick in row]).astype(np.uint8)
      points = cv2.findNonZero(strip)
      cv2.fillConvexPoly(strip, cv2.convexHull(points), 1)
      side = 2 * round(pitch / 2) + 1
      kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
      np.maximum(found, cv2.dilate(strip, kernel), out=found)
  return geometry.resize_mask(found * np.uint8(255), width, height) > 0


def _ticks(plane: np.ndarray, turn: int) -> tuple[np.ndarray, list[_Tick]]:
  """Short lines of one direction, and the numbered regions that they are."""
  across = lines.segments(_WIDTH_PX, _DIRECTIONS)[(turn + _DIRECTIONS // 2) % _DIRECTIONS]
  along = lines.segments(_LENGTH_PX[0] | 1, _DIRECTIONS)[turn]
  depth = cv2.subtract(cv2.morphologyEx(plane, cv2.MORPH_CLOSE, across), plane)
  labels, stats = regions.components(cv2.morphologyEx(depth, cv2.MORPH_OPEN, along) > _DEPTH)
  angle = np.pi * turn / _DIRECTIONS
  direction = np.array([np.cos(angle), np.sin(angle)])
  normal = np.array([-direction[1], direction[0]])
  ticks = []
  for number in range(1, len(stats)):
    left, top, width, height = stats[number, :4]
    if max(width, height) > _LENGTH_PX[1] or max(width, height) < _LENGTH_PX[0]:
      continue
    rows, columns = np.nonzero(labels[top : top + height, left : left + width] == number)
    points = np.stack([columns + left, rows + top], 1)
    lengthwise, crosswise = points @ direction, points @ normal
    if np.ptp(crosswise) <= 0.5 * np.ptp(lengthwise) + 1:
      ends = float(lengthwise.min()), float(lengthwise.max())
      ticks.append(_Tick(float(crosswise.mean()), *ends, number))
  return labels, ticks


def _rows(ticks: list[_Tick]) -> Iterator[tuple[list[_Tick], float]]:
  """Rows of evenly spaced ticks and their distances; a tick is in one row of a kind at most."""
  if len(ticks) < _TICKS:
    return
  middles = np.array([tick.across for tick in ticks])
  for end in ('start', 'stop'):
    ends = np.array([getattr(tick, end) for tick in ticks])
    used: set[int] = set()
    for first in np.argsort(middles).tolist():
      if first in used:
        continue
      row, pitch = _longest_row(middles, ends, first)
      if len(row) >= _TICKS:
        used.update(row)
        yield [ticks[at] for at in row], pitch


def _longest_row(middles: np.ndarray, ends: np.ndarray, first: int) -> tuple[list[int], float]:
  """The longest row that begins with a tick, over all distances to its second."""
  best, best_pitch = [first], 0.0
  gaps = middles - middles[first]
  near = (gaps >= _PITCH_PX[0]) & (gaps <= _PITCH_PX[1])
  near &= np.abs(ends - ends[first]) <= _SKEW * gaps + _LAG_PX
  for second in np.flatnonzero(near).tolist():
    row, pitch = _walk(middles, ends, first, second)
    if len(row) > len(best):
      best, best_pitch = row, pitch
  return best, best_pitch


def _walk(
  middles: np.ndarray, ends: np.ndarray, first: int, second: int
) -> tuple[list[int], float]:
  """Follows a row from its first two ticks; one missing tick is stepped over.

  What is no even and straight row as a whole, such as the rays of a round lesion, comes back as its
  first tick alone.
  """
  row, places = [first, second], [0, 1]
  while True:
    # The distance is measured anew with every tick: rounding of the first two would add up.
    pitch = (middles[row[-1]] - middles[first]) / places[-1]
    drift = (ends[row[-1]] - ends[first]) / places[-1]
    for ahead in (1, 2):
      off = np.abs(middles - middles[row[-1]] - ahead * pitch)
      aside = np.abs(ends - ends[row[-1]] - ahead * drift)
      allowed = _LAG * pitch + _LAG_PX
      fits = np.flatnonzero((off <= allowed) & (aside <= allowed + _LAG_PX))
      fits = fits[middles[fits] > middles[row[-1]] + 0.5 * pitch]
      if len(fits):
        row.append(int(fits[off[fits].argmin()]))
        places.append(places[-1] + ahead)
        break
    else:
      even = _is_straight(places, middles[row], pitch) and _is_straight(places, ends[row], pitch)
      return (row if even else [first]), float(pitch)


def _is_straight(places: list[int], positions: np.ndarray, pitch: float) -> bool:
  """Whether positions in px are a linear function of the numbers of their ticks."""
  number = np.array(places) - np.mean(places)
  off = positions - positions.mean()
  off = off - number * (number @ off) / (number @ number)
  return float(np.sqrt(np.mean(off**2))) <= _EVEN * pitch + _EVEN_PX
