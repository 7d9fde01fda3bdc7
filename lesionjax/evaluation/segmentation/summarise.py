"""Metrics of images averaged, with 95 % intervals over groups; two methods compared in pairs.

Every image counts once (macro average, as in the ISIC challenge): the mean of the images' ratios,
not the ratio of summed pixels. Images of one lesion or patient are drawn together, by the bootstrap
of `lesionjax.evaluation.intervals`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from data_builders.errors import UserError
from lesionjax.evaluation import intervals

_SHARES = ('failure',)  # of images: Wilson's interval
_UNBOUNDED = ('hd95_percent',)  # shares of nothing: Wilson says nothing where they are constant

Values = Mapping[str, np.ndarray]
"""float [N] by metric, as `metrics.measure` returns; nan is undefined."""


def summarise(
  values: Values, groups: np.ndarray, resamples: int = 1000, seed: int = 0
) -> dict[str, intervals.Interval]:
  """Mean over images of every metric with its 95 % interval.

  Low and high are percentiles over resamples of whole groups. The share of failures has Wilson's
  interval; so has every metric for which all resamples agree (a single group; all images the same),
  except distances, which have none then. Wilson's sample size is the number of groups, or less
  where they differ in size: (sum m)^2 / sum m^2 for groups of m images (Kish, Survey Sampling,
  1965), as if the images of a group always failed together, so the interval is not too narrow.

  Args:
    values: metrics of N images; undefined images are left out and counted.
    groups: [N] ids; images of one group are drawn together.
    resamples: Number of bootstrap resamples.
    seed: Seed of the resampling.

  Returns:
    Metric to {'value', 'low', 'high', 'n', 'undefined'}; n is the number of images in the mean,
    undefined how many were left out. Value, low and high are None where no image is left.

  Raises:
    UserError: There are no images, or metrics and groups differ in length.
  """
  index, weights = _draws(values, groups, resamples, seed)
  report: dict[str, intervals.Interval] = {}
  for name, each in values.items():
    entry, counts = _mean(each, index, weights)
    low, high, value = entry['low'], entry['high'], entry['value']
    agree = low is not None and high is not None and high - low < intervals.DEGENERATE
    if agree and name in _UNBOUNDED:
      entry['low'] = entry['high'] = None
    elif value is not None and (agree or name in _SHARES):
      entry['low'], entry['high'] = intervals.wilson(
        min(max(value, 0.0), 1.0), int(counts.sum() ** 2 / (counts**2).sum())
      )
    report[name] = entry
  return report


def paired_differences(
  first: Values, second: Values, groups: np.ndarray, resamples: int = 1000, seed: int = 0
) -> dict[str, intervals.Interval]:
  """Mean of first - second on the same images with its 95 % interval.

  Both methods see the same resamples, so that what makes an image hard for both cancels. An
  interval that excludes 0 is a difference at the 5 % level, of one metric: there is no correction
  for looking at several.

  Args:
    first: metrics of N images by one method.
    second: metrics of the same images, in the same order, by the other.
    groups: [N] ids.
    resamples: Number of bootstrap resamples.
    seed: Seed of the resampling.

  Returns:
    As `summarise`; undefined counts the images in which either method is. Low and high are None
    with a single group, and equal to the value where every image differs by the same.

  Raises:
    UserError: The methods name different metrics, or lengths differ.
  """
  if set(first) != set(second):
    odd = ', '.join(sorted(set(first) ^ set(second)))
    raise UserError(f'Only one of the two methods has {odd}: measure both in the same way.')
  for name in first:
    if np.shape(first[name]) != np.shape(second[name]):
      raise UserError(
        f'{name} has {len(first[name])} images of one method and {len(second[name])} of the other: '
        'give the same images in the same order.'
      )
  differences = {name: first[name] - second[name] for name in first}
  index, weights = _draws(differences, groups, resamples, seed)
  report: dict[str, intervals.Interval] = {}
  for name, each in differences.items():
    entry, counts = _mean(each, index, weights)
    if np.count_nonzero(counts) < 2:
      entry['low'] = entry['high'] = None
    report[name] = entry
  return report


def _draws(
  values: Values, groups: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Group number of every image [N], and how often each group is drawn [R, G]."""
  names, index = np.unique(np.asarray(groups), return_inverse=True)
  if not values or not len(index):
    raise UserError('There are no masks to average: evaluate a split that is not empty.')
  for name, each in values.items():
    if np.shape(each) != index.shape:
      raise UserError(
        f'{name} has shape {np.shape(each)} but groups {index.shape}: give one group id an image.'
      )
  return index, intervals.group_weights(len(names), resamples, seed)


def _mean(
  each: np.ndarray, index: np.ndarray, weights: np.ndarray
) -> tuple[intervals.Interval, np.ndarray]:
  """Mean with percentiles over the images where it is defined, and how many of them [G] are."""
  known = np.isfinite(each)
  entry: intervals.Interval = {'value': None, 'low': None, 'high': None}
  size = weights.shape[1]
  counts = np.bincount(index[known], minlength=size)
  if known.any():
    entry['value'] = float(each[known].mean())
    sums = np.bincount(index[known], each[known], minlength=size)
    real = weights.astype(np.float64)
    total = real @ counts
    drawn = np.divide(real @ sums, total, out=np.full(len(total), np.nan), where=total > 0)
    entry['low'], entry['high'] = intervals.percentiles(drawn) or (None, None)
  entry |= {'n': int(known.sum()), 'undefined': int((~known).sum())}
  return entry, counts
