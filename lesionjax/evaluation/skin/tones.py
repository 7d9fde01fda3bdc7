"""Eighteen skin tones along the line of human skin, A darkest to R lightest.

Their individual typology angles are evenly spaced from -50 to 70 degrees, 7.1 apart: beyond lie few
people, and both ends of the palette are photographs that exist. Their colours lie on one line
through CIELAB: yellow (b*) is strongest in the middle and weaker towards both ends, the crescent
that skins fill in the plane of L* and b* (Chardon et al. 1991), red (a*) likewise, and lightness
follows from angle and yellow, L* = 50 + b* tan(ITA). The supporting points of the line are ours,
chosen to lie in that crescent; they are those that the drawn data set is coloured with, without the
chance that goes into it. The palette orders tones, it names no people: of the six groups of
`ita.BANDS` 'dark' holds A to C, 'brown' D to I, 'tan' J to L, 'intermediate' M, 'light' N and O,
'very light' P to R.

Source of the angle and the crescent: Chardon, Cretois, Hourseau, Skin colour typology and
suntanning pathways, Int. J. Cosmet. Sci. 13 (1991).
"""

from __future__ import annotations

import string

import numpy as np

LETTERS = string.ascii_uppercase[:18]
"""Names of the tones, darkest first."""

DARKEST_DEG, LIGHTEST_DEG = -50.0, 70.0

_AT_DEG = (-60.0, -30.0, 0.0, 15.0, 30.0, 45.0, 70.0)
_YELLOW = (12.0, 16.5, 20.0, 20.5, 19.0, 16.5, 11.0)
_RED = (9.5, 13.0, 14.5, 14.0, 12.5, 11.5, 10.0)


def angles_deg() -> np.ndarray:
  """Float64 [18], the individual typology angles of the tones in degrees, A to R."""
  return np.linspace(DARKEST_DEG, LIGHTEST_DEG, len(LETTERS))


def tone_of(ita_deg: float) -> str:
  """Returns the letter of the nearest tone; beyond the ends of the palette the last one."""
  return LETTERS[int(np.abs(angles_deg() - ita_deg).argmin())]


def angle_of(letter: str) -> float:
  """Returns the angle of a tone in degrees."""
  return float(angles_deg()[LETTERS.index(letter)])


def colour_at(ita_deg: float) -> np.ndarray:
  """Returns the colour of the line of human skin at an angle, CIELAB (D65) float64 [3]."""
  yellow = np.interp(ita_deg, _AT_DEG, _YELLOW)
  red = np.interp(ita_deg, _AT_DEG, _RED)
  return np.array([50 + yellow * np.tan(np.radians(ita_deg)), red, yellow])


def palette() -> np.ndarray:
  """Float64 [18, 3], CIELAB (D65) of the tones A to R."""
  return np.stack([colour_at(angle) for angle in angles_deg()])
