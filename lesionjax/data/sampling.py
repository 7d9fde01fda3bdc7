"""Which record stands at which position of an endless training stream: a pure function."""

from __future__ import annotations

import functools

import numpy as np

from data_builders.errors import UserError

SAMPLINGS = ('uniform', 'balanced', 'sqrt', 'undersample', 'oversample')
_SQRT_CYCLE = 1000  # positions per cycle: shares are exact to half a thousandth


class Order:
  """Maps a stream position to a record index; depends on (labels, seed, sampling) alone.

  Positions come in cycles. A cycle holds a fixed number of draws (a quota) from every pool in a
  fresh random order; a pool is walked in permutations, so that each of its records is drawn once
  before any is drawn again.

    uniform      one pool of all records: every record exactly once an epoch.
    balanced     a pool per class, one draw each per cycle: class counts differ by at most one.
    sqrt         a pool per class, quotas proportional to the square root of the class's size.
    undersample  a pool per class, quotas of the smallest one's size: a cycle is a random part of
                 every class, a new one each cycle, that holds no record twice.
    oversample   a pool per class, quotas of the largest one's size: a cycle repeats every class to
                 that size, how often two of its records come differs by at most one.

  The last two begin new permutations with every cycle.

  Any position is computed from scratch, hence a stream resumes at any step, on any number of
  processes, with nothing to carry along.
  """

  def __init__(self, labels: np.ndarray, seed: int, sampling: str = 'uniform'):
    if sampling not in SAMPLINGS:
      raise UserError(
        f'data.sampling is {sampling!r}; it must be one of {", ".join(map(repr, SAMPLINGS))}.'
      )
    if len(labels) == 0:
      raise UserError('The training split holds no record; build the data set again.')
    self._seed = seed
    if sampling == 'uniform':
      self._pools = [np.arange(len(labels))]
    else:  # a class without a record cannot be drawn and has no pool
      self._pools = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    sizes = np.array([len(pool) for pool in self._pools])
    self._anew = sampling in ('undersample', 'oversample')
    if sampling == 'sqrt':
      self._quotas = _largest_remainder(np.sqrt(sizes), _SQRT_CYCLE)
    else:
      quota = {'oversample': sizes.max(), 'undersample': sizes.min()}.get(sampling, 1)
      self._quotas = np.full(len(sizes), quota, np.int64)
    self._cycle_length = int(self._quotas.sum())
    # Threads ask for neighbouring positions: a few cycles and permutations are in use at a time.
    kept = 256 if self._cycle_length <= _SQRT_CYCLE else 16
    self._cycle = functools.lru_cache(maxsize=kept)(self._compute_cycle)
    self._permutation = functools.lru_cache(maxsize=4 * len(sizes) + 12)(self._compute_permutation)

  def __call__(self, position: int) -> int:
    """The record index at `position` (0, 1, 2, ... without end)."""
    cycle, place = divmod(int(position), self._cycle_length)
    pools, ranks = self._cycle(cycle)
    pool = int(pools[place])
    quota, rank, size = int(self._quotas[pool]), int(ranks[place]), len(self._pools[pool])
    if self._anew:
      turn, within = divmod(rank, size)
      epoch = cycle * -(-quota // size) + turn
    else:
      epoch, within = divmod(cycle * quota + rank, size)
    return int(self._permutation(pool, epoch)[within])

  def _compute_cycle(self, cycle: int) -> tuple[np.ndarray, np.ndarray]:
    """The pool at each place of a cycle, and how many draws it had earlier in the cycle."""
    pools = np.repeat(np.arange(len(self._quotas)), self._quotas)
    ranks = np.concatenate([np.arange(quota) for quota in self._quotas])
    if len(self._quotas) > 1:
      pools = pools[_shuffled(self._cycle_length, (self._seed, 0, cycle))]
      # A stable sort lists each pool's places in order: they get its ranks in order.
      ranks[np.argsort(pools, kind='stable')] = ranks.copy()
    return pools, ranks

  def _compute_permutation(self, pool: int, epoch: int) -> np.ndarray:
    members = self._pools[pool]
    return members[_shuffled(len(members), (self._seed, 1 + pool, epoch))]


def _shuffled(count: int, key: tuple[int, ...]) -> np.ndarray:
  """A permutation of range(count), a function of `key` alone.

  Sorting raw bits of a counter-based generator, because NumPy keeps those stable between
  versions and does not promise it for `Generator.permutation`.
  """
  bits = np.random.Philox(np.random.SeedSequence(key)).random_raw(count)
  return np.argsort(bits, kind='stable')


def _largest_remainder(weights: np.ndarray, total: int) -> np.ndarray:
  """Whole numbers >= 1 proportional to `weights` that sum to about `total`."""
  shares = weights / weights.sum() * total
  counts = np.floor(shares).astype(np.int64)
  order = np.argsort(counts - shares, kind='stable')
  counts[order[: total - counts.sum()]] += 1
  return np.maximum(counts, 1)
