"""Resamples of whole groups, and the interval of a number that was computed under each."""

from __future__ import annotations

import dataclasses

import numpy as np

from lesionjax.evaluation.intervals import DEGENERATE, Interval, group_weights, percentiles, wilson

_BLOCK_ELEMENTS = 2_000_000


@dataclasses.dataclass(frozen=True)
class Groups:
  """The lesions or patients of N images, and how often each is drawn in R resamples.

  Attributes:
    index: int [N], 0..G-1.
    weights: uint16 [R, G]; the first row draws every group once: the sample itself.
  """

  index: np.ndarray
  weights: np.ndarray

  @classmethod
  def of(cls, groups: np.ndarray, resamples: int, seed: int = 0) -> Groups:
    """Draws groups with replacement, as all intervals here do (`evaluation.intervals`)."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    drawn = group_weights(len(names), resamples, seed)
    return cls(index, np.concatenate([np.ones((1, len(names)), np.uint16), drawn]))

  def __len__(self) -> int:
    return self.weights.shape[1]

  def sums(self, values: np.ndarray) -> np.ndarray:
    """Float [R, ...], the sums of float [N, ...] over the images of every resample."""
    values = np.asarray(values, np.float64)
    by_group = np.zeros((len(self), *values.shape[1:]))
    np.add.at(by_group, self.index, values)
    # Block by block: all weights as floats would take gigabytes.
    blocks = np.array_split(self.weights, -(-self.weights.size // _BLOCK_ELEMENTS))
    return np.concatenate([np.tensordot(w.astype(np.float64), by_group, axes=1) for w in blocks])

  def means(self, values: np.ndarray) -> np.ndarray:
    """Float [R, ...], the means over the images of every resample."""
    sums = self.sums(values)
    sizes = self.sums(np.ones(len(self.index)))
    return sums / sizes.reshape(-1, *[1] * (sums.ndim - 1))

  def count(self, rows: np.ndarray) -> int:
    """How many groups the images of bool [N] belong to."""
    return len(np.unique(self.index[rows]))


def interval(
  values: np.ndarray, n: int, groups: int | None = None, *, basic: bool = False
) -> Interval:
  """A number with its 95 % interval.

  Args:
    values: float [R], of the sample itself first, then of the resamples; nan where undefined.
    n: images that it rests on.
    groups: independent cases, for Wilson's interval where all resamples of a share agree; None is
      a number that is no share.
    basic: for numbers that chance can only raise, such as a calibration error: resampling adds
      chance to chance, so that the percentiles lie too high. Their distance from the number is
      turned round (basic bootstrap: Davison and Hinkley, Bootstrap Methods and their Application,
      1997, section 2.4), within 0 and, at the upper end, no less than the number itself.

  Returns:
    {'value', 'low', 'high', 'n'}; None where undefined.
  """
  value = float(values[0])
  if not np.isfinite(value):
    return {'value': None, 'low': None, 'high': None, 'n': n}
  limits = percentiles(values[1:])
  if limits is None:
    return {'value': value, 'low': None, 'high': None, 'n': n}
  if groups is not None and limits[1] - limits[0] < DEGENERATE:
    limits = wilson(min(max(value, 0.0), 1.0), max(groups, 1))
  elif basic:
    limits = max(2 * value - limits[1], 0.0), max(2 * value - limits[0], value)
  return {'value': value, 'low': limits[0], 'high': limits[1], 'n': n}


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
  """The quotient; nan where the denominator is 0."""
  shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
  return np.divide(numerator, denominator, out=np.full(shape, np.nan), where=denominator != 0)
