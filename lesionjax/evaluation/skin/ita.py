"""Individual typology angle of the skin around a lesion, from one uncalibrated photograph."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


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
    image: uint8 [H, W, 3] RGB, as the camera made it.
    mask: uint8 or bool [H, W], above 0 inside the lesion; None where none is known.

  Returns:
    The Tone.
  """
  raise NotImplementedError
