"""Individual typology angle of the skin around a lesion, from one photograph.

What is measured is the photograph: dermatoscopes are not calibrated, so that two devices may differ
by more than two neighbouring groups of skin. Steps that normalise colour (`NORMALISING`) make the
angle meaningless, which is why it is taken on the image as it was stored by the camera.

Source: Chardon, Cretois, Hourseau, Skin colour typology and suntanning pathways, Int. J. Cosmet.
Sci. 13 (1991), for the angle; Del Bino and Bernerd, Variations in skin colour and the biological
consequences of ultraviolet radiation exposure, Br. J. Dermatol. 169 Suppl. 3 (2013), for `BANDS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from data_builders.cleaning import frame, geometry, hair

NORMALISING = ('grey', 'clahe')
"""Steps of preprocessing after which the angle says nothing of the skin."""

BANDS: tuple[tuple[str, float], ...] = (
  ('very light', 55.0), ('light', 41.0), ('intermediate', 28.0), ('tan', 10.0), ('brown', -30.0),
  ('dark', -90.0),
)  # fmt: skip
"""Groups of skin and the angle in degrees above which each begins, lightest first."""

WORK_PX = 128
_MARGIN = 0.04  # of the longer side, around the lesion: its rim is no skin
_LEAST = 0.01  # of the image must be skin
_NEAR = 2.5  # robust standard deviations around the middle colour, beyond which it is no skin
_FLOOR = 3.0  # units of Lab that are always near: smooth skin has hardly any spread
_SIGMA = 1.4826  # median absolute deviation -> standard deviation, of a normal distribution
_LIT = (12.0, 97.0)  # L* of skin that is neither shade nor gloss


class Tone(NamedTuple):
  """How light the skin around a lesion is.

  Attributes:
    ita_deg: individual typology angle in degrees, about -60 (dark) to 90 (light); None where it
      cannot be measured.
    spread_deg: median absolute deviation of the pixels' own angles; None with `ita_deg`.
    pixels: of skin that were measured, after the image was made small.
    reason: why there is no angle; '' where there is one.
    mask: whose lesion mask was taken: 'data set', 'folder' or 'otsu'; '' where nobody says.
  """

  ita_deg: float | None
  spread_deg: float | None
  pixels: int
  reason: str = ''
  mask: str = ''


def measure(image: np.ndarray, mask: np.ndarray | None) -> Tone:
  """Measures the skin around a lesion.

  Args:
    image: uint8 [H, W, 3] RGB, as the camera made it; larger ones are looked at in `WORK_PX`.
    mask: uint8 or bool [H, W], above 0 inside the lesion; None where none is known.

  Returns:
    The Tone: the angle of the median colour of `skin_colours`; without an angle, with the reason,
    where there is no mask or too little skin.
  """
  if mask is None or not np.any(mask):
    return Tone(None, None, 0, 'no lesion is known')
  small, lesion = shrink(image, mask)
  found = skin_colours(small, lesion)
  count = found.shape[1]
  if count < _LEAST * lesion.size:
    return Tone(None, None, count, 'too little skin around the lesion')
  colour = np.median(found, axis=1)
  if colour[2] <= 0:
    return Tone(None, None, count, 'the skin is bluish in this light (b* is not above 0)')
  angles = angle_deg(found.T)
  middle = float(angle_deg(colour))
  spread = float(np.median(np.abs(angles - np.median(angles))))
  return Tone(round(middle, 2), round(spread, 2), count)


def skin_colours(image: np.ndarray, lesion: np.ndarray) -> np.ndarray:
  """Colours of the skin around a lesion.

  Skin is what lies outside the lesion and a margin around it, inside a black frame, is no hair and
  has a colour near the middle one of all that is left: rulers, stickers, ink, gloss and shade fall
  out by that.

  Args:
    image: uint8 [H, W, 3] RGB, small.
    lesion: bool [H, W].

  Returns:
    CIELAB float32 [3, N] of the pixels that show skin.
  """
  side = 2 * max(1, round(_MARGIN * max(lesion.shape))) + 1
  kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
  skin = cv2.dilate(lesion.astype(np.uint8), kernel) == 0
  if box := frame.find_box(image):
    top, left, bottom, right = box
    inside = np.zeros_like(skin)
    inside[top:bottom, left:right] = True
    skin &= inside
  hairs = hair.hair_mask(image)
  skin &= cv2.dilate(hairs, np.ones((3, 3), np.uint8)) == 0
  lab = to_lab(image)[skin].T.copy()
  lab = lab[:, (lab[0] > _LIT[0]) & (lab[0] < _LIT[1])]
  for _ in range(2):
    if not lab.size:
      break
    middle = np.median(lab, axis=1, keepdims=True)
    reach = _SIGMA * np.median(np.abs(lab - middle), axis=1, keepdims=True)
    lab = lab[:, (np.abs(lab - middle) <= np.maximum(_FLOOR, _NEAR * reach)).all(axis=0)]
  return lab


def angle_deg(lab: np.ndarray) -> np.ndarray:
  """Returns the individual typology angle atan2(L* - 50, b*) of CIELAB [..., 3], in degrees."""
  return np.degrees(np.arctan2(lab[..., 0] - 50, lab[..., 2]))


def band(ita_deg: float) -> str:
  """Returns the group of skin, one of the names in `BANDS`."""
  return next(name for name, above in BANDS if ita_deg > above or name == BANDS[-1][0])


def to_lab(image: np.ndarray) -> np.ndarray:
  """Converts sRGB uint8 [H, W, 3] to CIELAB (D65) float32, L* from 0 to 100."""
  return cv2.cvtColor(image.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2LAB)


def shrink(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Makes an image and its mask as small as they are looked at.

  Returns:
    uint8 [h, w, 3] and bool [h, w], at most `WORK_PX` on the longer side.
  """
  height, width = image.shape[:2]
  scale = min(1.0, WORK_PX / max(height, width))
  size = (max(1, round(width * scale)), max(1, round(height * scale)))
  plane = geometry.resize(np.asarray(mask > 0, np.uint8) * np.uint8(255), *size)
  return geometry.resize(image, *size), plane > 127


def normalised_by(steps: Sequence[str]) -> str:
  """The first of some steps of preprocessing that normalises colour; '' where none does."""
  return next((step for step in steps if step in NORMALISING), '')
