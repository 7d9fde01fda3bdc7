"""What is known of an image's patient and origin, as named subgroups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NOT_RECORDED = 'not recorded'
AGE_BANDS = ('0 to 29', '30 to 44', '45 to 59', '60 to 74', '75 and older')
_AGE_LIMITS = (30.0, 45.0, 60.0, 75.0)  # years at which the next band begins
ITA_BANDS = ('very light', 'light', 'intermediate', 'tan', 'brown', 'dark')
"""Lightest first; see `ita_bands`."""
_ITA_LIMITS_DEG = (
  55.0,
  41.0,
  28.0,
  10.0,
  -30.0,
)  # a band is what lies above, the last what is left


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


def ita_bands(ita_deg: np.ndarray) -> np.ndarray:
  """Names the skin of every image by its individual typology angle.

  Args:
    ita_deg: float [N] in degrees, nan where it could not be measured.

  Returns:
    str [N], of `ITA_BANDS` or `NOT_RECORDED`.

  References:
    Del Bino and Bernerd, Variations in skin colour and the biological consequences of ultraviolet
    radiation exposure, British Journal of Dermatology 169 (2013), table 1: very light > 55 > light
    > 41 > intermediate > 28 > tan > 10 > brown > -30 > dark.
  """
  angle = np.asarray(ita_deg, np.float64)
  darker = (np.nan_to_num(angle)[:, None] <= np.array(_ITA_LIMITS_DEG)).sum(1)
  return np.where(np.isnan(angle), NOT_RECORDED, np.array(ITA_BANDS)[darker])


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
