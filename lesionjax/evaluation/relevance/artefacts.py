"""Alarms: relevance on what is no skin, where a network learns the clinic, not the lesion."""

from __future__ import annotations

import cv2
import numpy as np

from data_builders.cleaning.frame import frame_mask
from data_builders.cleaning.hair import hair_mask
from data_builders.cleaning.ruler import ruler_mask
from lesionjax.evaluation.relevance.inside import area, share_inside

KINDS = ('frame', 'ruler', 'hair')
LOOK_PX = 256  # at which artefacts are looked for: hairs are gone in what a small network sees
ALARM_SHARE, ALARM_RATIO = 0.25, 2.0
PRESENT = 0.002  # of the image: less is a speck
_RIM_PX = 11


def find_artefacts(image: np.ndarray) -> dict[str, np.ndarray]:
  """Finds frame, ruler and hair; a pixel is of one kind at most.

  Args:
    image: uint8 [H, W, 3] RGB, best with `LOOK_PX` pixels on its short side.

  Returns:
    bool [H, W] by kind.

  Source: `data_builders.cleaning`: frame, ruler, hair, where each says what it misses.
  """
  black, ruler = frame_mask(image), ruler_mask(image)
  # Ticks are thin dark lines, and so are hairs; what is left of the rim of a frame looks like one.
  rim = cv2.dilate(black.astype(np.uint8), np.ones((_RIM_PX, _RIM_PX), np.uint8)) > 0
  return {
    'frame': black,
    'ruler': ruler & ~black,
    'hair': (hair_mask(image) > 0) & ~rim & ~ruler,
  }


def coverage(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """How much of every pixel of a map lies in a mask.

  Args:
    mask: bool [H, W], of the same part of the picture as the map.
    shape: height and width of the map; at most those of the mask.

  Returns:
    float32 [*shape], 0..1, with the same mean.
  """
  size = shape[1], shape[0]
  return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def alarms(relevance: np.ndarray, region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Whether relevance sits on an artefact.

  There is an alarm where more than a quarter of all relevance lies on it, and more than twice as
  much as its area would have by chance: a large frame draws a share of any map.

  Args:
    relevance: float [N, H, W], at least 0.
    region: float [N, H, W], coverage by the artefact.

  Returns:
    flags: bool [N]; False where the map is empty.
    shares: float64 [N], of the relevance; nan where the map is empty.
  """
  shares = share_inside(relevance, region)
  known = np.nan_to_num(shares)
  return (known > ALARM_SHARE) & (known > ALARM_RATIO * area(region)), shares
