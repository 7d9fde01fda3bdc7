"""SMOTE and ADASYN: new training rows between rows of one class, in feature or in pixel space.

Only rows that train are ever given to it; validation and test are not.

Memory at the peak, with N rows of D numbers, K classes and M rows in the largest: the library's
copies of the rows and its float64 of one class take D (16 N + 28 M) bytes, the result, held twice
while it is joined, 8 D K M in feature space and 2 D K M in pixel space. HAM10000 (N 7,000,
M 4,700): 1 GB at 32x32x3, .7 GB at 1408-D; ISIC 2019 (N 17,700, M 9,000): 8 GB at 64x64x3, 1.6 GB
at 1408-D.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.data import memory

METHODS = ('smote', 'adasyn')
SPACES = ('features', 'pixels')


def check_counts(
  labels: np.ndarray, class_names: Sequence[str], method: str, neighbours: int
) -> None:
  """Refuses classes that cannot be filled, from their counts alone.

  Args:
    labels: of the training images, int [N].
    class_names: K names.
    method: of `METHODS`, or 'none', which asks for nothing.
    neighbours: k.

  Raises:
    UserError: naming the class, its images, and how many are needed.
  """
  if method == 'none':
    return
  counts = np.bincount(labels, minlength=len(class_names))
  for name, count in zip(class_names, counts.tolist(), strict=True):
    if count == 0:
      raise UserError(
        f'config.data.resample={method!r} has nothing to fill the class {name!r} with, of which the'
        ' training split holds no image: choose a config.data.classes or a split without it.'
      )
    if count <= neighbours and count < counts.max():
      advice = f' set config.data.resample_neighbours to at most {count - 1},' if count > 1 else ''
      raise UserError(
        f'config.data.resample={method!r} with config.data.resample_neighbours={neighbours} needs'
        f' {neighbours + 1} training images of a class, and there are {count} of {name!r}:{advice}'
        ' choose a split with more of them, or another strategy.'
      )


def resample_features(
  features: np.ndarray,
  labels: np.ndarray,
  class_names: Sequence[str],
  method: str,
  neighbours: int,
  seed: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Fills every class to the size of the largest.

  A new row is x + u (x' - x) with x' one of the k nearest of x within its class, u uniform in
  [0, 1). SMOTE draws every x alike; ADASYN the more often, the more of its k nearest among all rows
  are of other classes, and rounds, so that sizes are met but for some rows.

  Args:
    features: of the training images, float32 [N, D].
    labels: int [N].
    class_names: K names.
    method: of `METHODS`.
    neighbours: k.
    seed: of the run; the rows depend on it and on the features only.

  Returns:
    The features float32 [N', D] and labels [N'], of which the first N are those that were given.

  Raises:
    UserError: as `check_counts`; features that are no numbers; what ADASYN cannot fill; too little
      memory.

  References:
    Chawla et al., SMOTE: Synthetic Minority Over-sampling Technique, JAIR 16, 2002.
    He et al., ADASYN: Adaptive Synthetic Sampling Approach for Imbalanced Learning, IJCNN 2008.
    https://imbalanced-learn.org/stable/over_sampling.html
  """
  check_counts(labels, class_names, method, neighbours)
  if not np.isfinite(features).all():
    raise UserError(
      f'config.data.resample={method!r}: features of the training images are not finite: the phase'
      ' before has diverged; lower its config.optimiser.learning_rate, in another --workdir.'
    )
  check_memory(features.shape, labels, 4, method)
  features = np.asarray(features, np.float32)
  rows, names = [features], [labels]
  for label in to_fill(labels):
    new = fill(features, labels, label, method, neighbours, seed, class_names)
    rows.append(new)
    names.append(np.full(len(new), label, labels.dtype))
  return np.concatenate(rows), np.concatenate(names)


def resample_pixels(
  pixels: np.ndarray,
  labels: np.ndarray,
  class_names: Sequence[str],
  method: str,
  neighbours: int,
  seed: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Does with decoded images what `resample_features` does with features; values are rounded.

  Args:
    pixels: of the training images, uint8 [N, H, W, 3].
    labels: int [N].
    class_names: K names.
    method: of `METHODS`.
    neighbours: k.
    seed: of the run.

  Returns:
    Images uint8 [N', H, W, 3] and labels [N'], of which the first N are those that were given.

  Raises:
    UserError: as `resample_features`.
  """
  check_counts(labels, class_names, method, neighbours)
  flat = pixels.reshape(len(pixels), -1)
  check_memory(flat.shape, labels, 1, method)
  values = flat.astype(np.float32)  # differences of bytes would wrap around
  rows, names = [flat], [labels]
  for label in to_fill(labels):
    new = fill(values, labels, label, method, neighbours, seed, class_names)
    rows.append(as_bytes(new))
    names.append(np.full(len(new), label, labels.dtype))
  return np.concatenate(rows).reshape(-1, *pixels.shape[1:]), np.concatenate(names)


def as_bytes(values: np.ndarray) -> np.ndarray:
  """Values rounded to uint8."""
  return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def to_fill(labels: np.ndarray) -> list[int]:
  """Classes that have fewer rows than the largest."""
  counts = np.bincount(labels)
  return np.flatnonzero(counts < counts.max()).tolist()


def fill(
  values: np.ndarray,
  labels: np.ndarray,
  label: int,
  method: str,
  neighbours: int,
  seed: int,
  class_names: Sequence[str],
) -> np.ndarray:
  """Makes the rows that one class lacks.

  Class by class, so that what the library holds several times is one class, and that the rows of
  one class do not depend on those of another.

  Args:
    values: float32 [N, D].
    labels: int [N].
    label: the class.
    method: of `METHODS`.
    neighbours: k.
    seed: of the run.
    class_names: K names.

  Returns:
    New rows float32 [n, D].

  Raises:
    UserError: what ADASYN cannot fill.
  """
  import threadpoolctl
  from imblearn.over_sampling import ADASYN, SMOTE

  target = {label: int(np.bincount(labels).max())}
  state = int(np.random.SeedSequence((seed, label)).generate_state(1)[0])
  options: dict[str, Any] = {'sampling_strategy': target, 'random_state': state}
  if method == 'smote':
    sampler: Any = SMOTE(k_neighbors=neighbours, **options)
  else:
    sampler = ADASYN(n_neighbors=neighbours, **options)
  try:
    with threadpoolctl.threadpool_limits(1):  # the same bits on any number of cores
      filled, _ = sampler.fit_resample(values, labels)
  except (RuntimeError, ValueError) as error:
    reason = next((ours for theirs, ours in _ADASYN_FAILS.items() if theirs in str(error)), '')
    if not reason:
      raise
    raise UserError(
      f"config.data.resample='adasyn' cannot fill the class {class_names[label]!r}: {reason}; use"
      " 'smote', or another config.data.resample_neighbours."
    ) from error
  return filled[len(values) :].copy()  # a view would keep all of it


# What imbalanced-learn says, as it spells it -> what it means.
_ADASYN_FAILS = {
  'Not any neigbours belong to the majority': (
    'none of its images has one of another class among its nearest, and only such are multiplied'
  ),
  'No samples will be generated': 'so few are missing that rounding leaves none to make',
}


def check_memory(shape: tuple[int, ...], labels: np.ndarray, item_bytes: int, method: str) -> None:
  """Refuses what would not fit: see the head of this file.

  Args:
    shape: (N, D) of the rows.
    labels: int [N].
    item_bytes: of a number of the result.
    method: of `METHODS`.

  Raises:
    UserError: telling how much is needed and how much is free.
  """
  count, width = shape
  counts = np.bincount(labels)
  largest, filled = int(counts.max()), int(counts.max()) * int((counts > 0).sum())
  needed = width * (16 * count + 28 * largest + 2 * item_bytes * filled)
  free = memory.free_bytes()
  if free is not None and needed > 0.9 * free:
    raise UserError(
      f'config.data.resample={method!r} turns {count:,} rows of {width:,} numbers into'
      f' {filled:,}, which takes {needed / 2**30:.1f} GiB where {free / 2**30:.1f} GiB are free:'
      " take smaller images, feature space, or config.data.sampling='balanced'."
    )
