"""Whether subgroups differ: a permutation test over whole lesions, and the largest gap."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from lesionjax.evaluation.calibration.resampling import Groups, interval, ratio
from lesionjax.evaluation.intervals import Interval

_BLOCK_ELEMENTS = 4_000_000  # of one [permutations, images] block


def permutation_p(
  values: np.ndarray, subgroups: np.ndarray, groups: np.ndarray, permutations: int, seed: int
) -> float:
  """P value of the hypothesis that a number does not depend on the subgroup.

  The statistic is the sum of squares between subgroups, `sum_s n_s (mean_s - mean)^2`: of a rate it
  is Pearson's chi-square but for a constant factor. Subgroups are exchanged between lesions or
  patients with as many images, a lesion's images staying together, so that images of one lesion are
  never taken for independent. `(1 + draws at least as large) / (1 + draws)`.

  Args:
    values: float or bool [N], such as whether an image was found.
    subgroups: int [N], 0..S-1.
    groups: int [N], lesion or patient.
    permutations: number of draws.
    seed: of the draws.

  Returns:
    0..1; 1 where there is one subgroup only.

  References:
    Phipson and Smyth, Permutation p-values should never be zero, Statistical Applications in
    Genetics and Molecular Biology 9 (2010), article 39.
  """
  values = np.asarray(values, np.float64) - np.mean(values)
  order, cuts = _by_size(groups)
  values, labels = values[order], np.asarray(subgroups)[order]
  count = int(labels.max()) + 1
  if count < 2:
    return 1.0
  sizes = np.bincount(labels, minlength=count)
  seen = float(_between(values, labels[None], sizes)[0])
  rng = np.random.default_rng(seed)
  step = max(1, _BLOCK_ELEMENTS // max(len(values), 1))
  larger = 0
  for start in range(0, permutations, step):
    rows = min(step, permutations - start)
    drawn = np.empty((rows, len(values)), labels.dtype)
    for first, last, size in cuts:
      whole = labels[first:last].reshape(1, -1, size)
      turn = rng.random((rows, whole.shape[1])).argsort(axis=1)
      drawn[:, first:last] = whole[0][turn].reshape(rows, -1)
    # A sum in another order may differ in its last bits.
    larger += int((_between(values, drawn, sizes) >= seen * (1 - 1e-9) - 1e-12).sum())
  return (1 + larger) / (1 + permutations)


def holm(p_values: Sequence[float]) -> list[float]:
  """P values corrected for their number, in their order.

  References:
    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 6 (1979).
  """
  values = np.asarray(p_values, np.float64)
  order = np.argsort(values, kind='stable')
  stepped = values[order] * np.arange(len(values), 0, -1)
  corrected = np.empty_like(values)
  corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
  return corrected.tolist()


def largest_gap(
  values: np.ndarray, subgroups: np.ndarray, drawn: Groups
) -> tuple[Interval, int, int]:
  """The difference between the subgroups with the highest and the lowest mean.

  The two are those of the sample, in every resample too: the interval says how well their
  difference is known, not that it was chosen for being the largest. That is what the test is for.

  Args:
    values: float or bool [N].
    subgroups: int [N], 0..S-1, each with an image.
    drawn: resamples of the images' lesions or patients.

  Returns:
    Highest minus lowest mean with its bootstrap interval, and the numbers of both subgroups.
  """
  member = np.asarray(subgroups)[:, None] == np.arange(int(np.max(subgroups)) + 1)
  means = ratio(drawn.sums(member * np.asarray(values)[:, None]), drawn.sums(member))
  high, low = int(means[0].argmax()), int(means[0].argmin())
  return interval(means[:, high] - means[:, low], len(subgroups)), high, low


def _by_size(groups: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
  """Images ordered so that lesions with as many images follow each other.

  Returns:
    Rows [N], and (first, last, images of a lesion) of every stretch.
  """
  _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
  size = counts[index]
  order = np.lexsort((index, size))
  cuts = np.flatnonzero(np.diff(size[order])) + 1
  ends = [0, *cuts.tolist(), len(order)]
  return order, [(first, last, int(size[order[first]])) for first, last in itertools.pairwise(ends)]


def _between(values: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
  """Sum of squares between subgroups [P] of values [N] with mean 0 under labels [P, N]."""
  total = np.zeros(len(labels))
  for label, size in enumerate(sizes.tolist()):
    total += ((labels == label) @ values) ** 2 / max(size, 1)
  return total
