"""What is known of an image's patient and origin, as named subgroups."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from lesionjax.evaluation.skin import ita, tones

NOT_RECORDED = 'not recorded'
AGE_BANDS = ('0 to 29', '30 to 44', '45 to 59', '60 to 74', '75 and older')
_AGE_LIMITS = (30.0, 45.0, 60.0, 75.0)  # years at which the next band begins


def age_bands(years: np.ndarray) -> np.ndarray:
  """Names the age band of every image.

  Args:
    years: float [N], nan where not recorded.

  Returns:
    str [N], of `AGE_BANDS` or `NOT_RECORDED`.
  """
  years = np.asarray(years, np.float64)
  band = np.searchsorted(_AGE_LIMITS, np.nan_to_num(years), side='right')
  return np.where(np.isnan(years), NOT_RECORDED, np.array(AGE_BANDS)[band])


def skin_bands(ita_deg: np.ndarray) -> np.ndarray:
  """Names the group of skin of every image, see `skin.ita.BANDS`.

  Args:
    ita_deg: float [N], individual typology angle; nan where it could not be measured.

  Returns:
    str [N]; `NOT_RECORDED` without an angle.
  """
  return _by_angle(ita_deg, ita.band)


def skin_tones(ita_deg: np.ndarray) -> np.ndarray:
  """Names the nearest of 18 tones, see `skin.tones`; otherwise as `skin_bands`."""
  return _by_angle(ita_deg, tones.tone_of)


def _by_angle(ita_deg: np.ndarray, name: Callable[[float], str]) -> np.ndarray:
  angles = np.asarray(ita_deg, np.float64).tolist()
  return np.array([NOT_RECORDED if math.isnan(a) else name(a) for a in angles], np.str_)


def named(values: np.ndarray) -> np.ndarray:
  """Returns texts with '' replaced by `NOT_RECORDED`."""
  values = np.asarray(values, np.str_)
  return np.where(values == '', NOT_RECORDED, values)


def order(subgroups: np.ndarray, known: Sequence[str] = ()) -> list[str]:
  """The subgroups that occur, in the order in which they are told.

  Args:
    subgroups: str [N].
    known: names in their natural order; others follow, the largest first.

  Returns:
    The names; `NOT_RECORDED` comes last.
  """
  names, counts = np.unique(subgroups, return_counts=True)
  by_size = [str(name) for name in names[np.argsort(-counts, kind='stable')]]
  rest = [name for name in by_size if name not in known and name != NOT_RECORDED]
  return [n for n in (*known, *rest, NOT_RECORDED) if n in by_size]
