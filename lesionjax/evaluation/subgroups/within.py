"""Macro AUC within each source: where classes come from one source, telling sources is enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from lesionjax.evaluation import metrics
from lesionjax.evaluation.calibration.resampling import Groups, interval


@dataclasses.dataclass(frozen=True)
class Classified:
  """A classifier's probabilities.

  Attributes:
    labels: int [N], 0..K-1.
    probabilities: float [N, K].
    class_names: K names.
    drawn: the lesion or patient of every image, and the resamples of these.
  """

  labels: np.ndarray
  probabilities: np.ndarray
  class_names: tuple[str, ...]
  drawn: Groups


def within_source(
  found: Classified, sources: np.ndarray, names: Sequence[str], min_count: int
) -> dict[str, Any] | None:
  """Compares the macro AUC over all images with the one within sources.

  A class counts in a source where at least `min_count` lesions or patients are of it and as many
  are not; the macro AUC of a source is the mean over these. Of every source that has any, the mean
  over sources is held against the overall macro AUC over the same classes.

  Args:
    found: all images.
    sources: str [N], where each image comes from.
    names: the sources in their order; what is not recorded is left out.
    min_count: smallest number of lesions or patients.

  Returns:
    sources: a row each with name, images, classes (names) and macro_auc (or None); single: class
    name -> its only source; classes: those compared; overall, within and difference (within minus
    overall) with intervals, None where no source has a class that counts. None in all where fewer
    than two sources occur.
  """
  if len(names) < 2:
    return None
  rows, values, used = [], [], set()
  for name in names:
    mine = np.flatnonzero(sources == name)
    kept = _classes(found, mine, min_count)
    area = _macro_auc(found, mine, kept) if kept else None
    if area is not None:
      values.append(area)
      used |= set(kept)
    rows.append({
      'name': name, 'images': len(mine), 'classes': [found.class_names[c] for c in kept],
      'macro_auc': None if area is None else interval(area, len(mine)),
    })  # fmt: skip
  known = np.flatnonzero(np.isin(sources, names))
  result: dict[str, Any] = {
    'sources': rows,
    'single': _single(found, sources, names),
    'classes': [found.class_names[c] for c in sorted(used)],
    **dict.fromkeys(('overall', 'within', 'difference')),
  }
  if values:
    overall, within = _macro_auc(found, known, sorted(used)), np.mean(values, axis=0)
    result |= {
      'overall': interval(overall, len(known)),
      'within': interval(within, len(known)),
      'difference': interval(within - overall, len(known)),
    }
  return result


def _classes(found: Classified, rows: np.ndarray, min_count: int) -> list[int]:
  """Classes that enough lesions of a source are of, and enough are not."""
  labels, groups = found.labels[rows], found.drawn.index[rows]
  return [
    c
    for c in range(len(found.class_names))
    if min(len(np.unique(groups[(labels == c) == kind])) for kind in (True, False)) >= min_count
  ]


def _macro_auc(found: Classified, rows: np.ndarray, classes: Sequence[int]) -> np.ndarray:
  """Mean one-against-the-rest AUC of some classes in every resample [R]."""
  if len(found.class_names) == 2:
    classes = [1]
  values = metrics.resampled_metrics(
    found.labels[rows],
    found.probabilities[rows],
    found.drawn.index[rows],
    found.drawn.weights,
    found.class_names,
  )
  return np.mean([values[f'auc/{found.class_names[c]}'] for c in classes], axis=0)


def _single(found: Classified, sources: np.ndarray, names: Sequence[str]) -> dict[str, str]:
  """Classes of which all images with a known source come from one."""
  single = {}
  for c, label in enumerate(found.class_names):
    seen = [name for name in names if ((found.labels == c) & (sources == name)).any()]
    if len(seen) == 1:
      single[label] = seen[0]
  return single
