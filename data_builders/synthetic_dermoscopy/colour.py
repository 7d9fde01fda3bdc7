"""Colours of skin, and what pigment and blood do to them.

All drawing happens in optical density, the negative logarithm of the reflected light relative to
the surrounding skin, where pigments add up; colours are gamma-encoded sRGB in [0, 1].
"""

from __future__ import annotations

import numpy as np

MELANIN = np.array([0.62, 1.0, 1.35], np.float32)
"""Density per unit of melanin in red, green, blue: brown in thin layers, black in thick ones."""

BLOOD = np.array([0.16, 1.0, 0.78], np.float32)
"""Density per unit of blood in red, green, blue."""

_ITA_TABLE_DEG = (-60.0, -30.0, 0.0, 15.0, 30.0, 45.0, 70.0)
_YELLOW_TABLE = (12.0, 16.5, 20.0, 20.5, 19.0, 16.5, 11.0)
_RED_TABLE = (9.0, 12.5, 14.0, 13.5, 12.0, 11.0, 9.5)

_XYZ_FROM_RGB = np.array(
  [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
   [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip
_WHITE = np.array([0.95047, 1.0, 1.08883])


def lab_to_rgb(lab: np.ndarray) -> np.ndarray:
  """Converts CIELAB (D65) to gamma-encoded sRGB in [0, 1], clipped; shape [..., 3].

  Source: IEC 61966-2-1 and CIE 15.
  """
  lab = np.asarray(lab, np.float64)
  fy = (lab[..., 0] + 16) / 116
  f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
  xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _WHITE
  linear = np.clip(xyz @ np.linalg.inv(_XYZ_FROM_RGB).T, 0, 1)
  return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
  """Converts gamma-encoded sRGB in [0, 1] to CIELAB (D65); shape [..., 3].

  Source: IEC 61966-2-1 and CIE 15.
  """
  rgb = np.asarray(rgb, np.float64)
  linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
  t = linear @ _XYZ_FROM_RGB.T / _WHITE
  f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
  return np.stack(
    [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1
  )


def typology_angle_deg(lab: np.ndarray) -> np.ndarray:
  """Returns the individual typology angle arctan((L* - 50) / b*) in degrees.

  Args:
    lab: CIELAB [..., 3] with b* > 0.

  Source: Chardon, Cretois, Hourseau, Int J Cosmet Sci 13:191 (1991).
  """
  lab = np.asarray(lab)
  return np.degrees(np.arctan((lab[..., 0] - 50) / lab[..., 2]))


def skin_lab(ita_deg: float, rng: np.random.Generator) -> np.ndarray:
  """Draws a skin colour in CIELAB [3] whose typology angle is exactly `ita_deg`."""
  yellow = np.interp(ita_deg, _ITA_TABLE_DEG, _YELLOW_TABLE) * rng.uniform(0.9, 1.1)
  red = np.interp(ita_deg, _ITA_TABLE_DEG, _RED_TABLE) + rng.uniform(-3, 4)
  return np.array([50 + yellow * np.tan(np.radians(ita_deg)), red, yellow])


def relight(lab: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Changes exposure and white balance of a skin colour but not its typology angle.

  Lightness above 50 and yellow are scaled together, which leaves their ratio alone; red moves
  freely, as it does between the warm and pink pictures of different dermatoscopes.
  """
  scale = rng.uniform(0.86, 1.14)
  red = lab[1] + rng.normal(0, 3.5)
  return np.array([50 + (lab[0] - 50) * scale, np.clip(red, 2, 26), lab[2] * scale])
