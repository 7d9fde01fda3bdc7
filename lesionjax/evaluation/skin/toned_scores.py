"""What another skin around the same lesions does to the scores of a fixed model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lesionjax.evaluation import intervals
from lesionjax.evaluation.operating import Sample, measure

_UNDEFINED = {'sensitivity': 'no image is positive', 'specificity': 'no image is negative'}


def summarise(
  before: np.ndarray,
  after: np.ndarray,
  truth: np.ndarray,
  groups: np.ndarray,
  threshold: float,
  resamples: int = 1000,
) -> dict[str, Any]:
  """Compares the scores of images before and after their skin was recoloured, image by image.

  Args:
    before: float [N], probability of the positive classes on the images as they are.
    after: float [N], the same on the recoloured ones.
    truth: bool [N], which are positive.
    groups: [N] ids; images of one group are drawn together.
    threshold: an image is called positive where its score is at least that.
    resamples: of groups.

  Returns:
    'change' (mean of after - before), 'absolute_change' (mean of its size), 'flips' (share of the
    images that cross the threshold), 'sensitivity' and 'specificity' after, each {'value', 'low',
    'high', 'n'} (95 %; None with a 'reason' where undefined), and 'raised', 'lowered': numbers of
    images that begin and cease to be called positive.
  """
  before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
  sample = Sample.of(truth, after, groups, resamples)
  change = after - before
  raised = (before < threshold) & (after >= threshold)
  lowered = (before >= threshold) & (after < threshold)
  found: dict[str, Any] = {
    'change': mean(sample, change),
    'absolute_change': mean(sample, np.abs(change)),
    'flips': mean(sample, raised | lowered, share=True),
    'raised': int(raised.sum()),
    'lowered': int(lowered.sum()),
  }
  measured = measure(sample, threshold)
  return found | {name: measured[name] for name in _UNDEFINED}


def mean(sample: Sample, values: np.ndarray, share: bool = False) -> dict[str, Any]:
  """The mean over images with a 95 % interval from resampled groups.

  Args:
    sample: whose groups are drawn.
    values: float or bool [N].
    share: whether values are 0 and 1; where all resamples agree, Wilson's interval is told.

  Returns:
    {'value', 'low', 'high', 'n'}; None and a 'reason' where there is no image.
  """
  count = len(values)
  if not count:
    return {'value': None, 'low': None, 'high': None, 'n': 0, 'reason': 'there is no image'}
  size = sample.weights.shape[1]
  total = np.bincount(sample.group_index, np.asarray(values, np.float64), minlength=size)
  images = np.bincount(sample.group_index, minlength=size)
  drawn = (sample.real_weights @ total) / (sample.real_weights @ images)
  value = float(np.mean(values))
  low, high = intervals.percentiles(drawn) or (math.nan, math.nan)
  if share and high - low < intervals.DEGENERATE:
    low, high = intervals.wilson(value, size)
  return {'value': value, 'low': low, 'high': high, 'n': count}


def steepest(tones: Sequence[dict[str, Any]]) -> float:
  """Difference between the largest and the smallest mean change over the tones."""
  changes = [entry['change']['value'] for entry in tones if entry['change']['value'] is not None]
  return max(changes) - min(changes) if changes else 0.0
