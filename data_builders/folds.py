"""Twenty slots, ten folds, three splits: stratified by class, whole groups, no chance involved.

Every group of images gets one of 20 slots. A fold is two neighbouring slots (fold = slot // 2);
train is slots 0-13 (70 %, folds 0-6), validation 14-16 and test 17-19 (15 % each, folds 7-9).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

NUM_SLOTS = 20
SPLIT_SLOTS = {'train': range(0, 14), 'validation': range(14, 17), 'test': range(17, 20)}
"""Split name -> its slots."""
_PURSUED = 100
"""Smaller classes cannot be spread as evenly: one image is more than a tenth of a fold's share."""


def split_names(slots: Sequence[int] | np.ndarray) -> np.ndarray:
  """Returns the split of every slot 0..19 as `<U10` [N]."""
  table = [name for name, members in SPLIT_SLOTS.items() for _ in members]
  return np.array(table, dtype=np.str_)[np.asarray(slots, dtype=np.int64)]


def fold_numbers(slots: Sequence[int] | np.ndarray) -> np.ndarray:
  """Returns the fold 0..9 of every slot 0..19 as int32 [N]."""
  return (np.asarray(slots) // 2).astype(np.int32)


def assign_slots(
  group_ids: Sequence[str] | np.ndarray,
  labels: Sequence[int] | np.ndarray,
) -> np.ndarray:
  """Gives each group one slot so that every class is spread evenly over slots, folds and splits.

  Groups are placed one after the other, those that hold the largest share of a class first, each
  into the slot where the squared relative deviation from proportional shares, summed over
  classes and over slots, folds and splits, becomes smallest. Ties are broken by a hash of the
  group's id: the result depends neither on row order nor on a seed.

  Args:
    group_ids: [N] group of every image.
    labels: int [N] class of every image, any non-negative integers; a group may hold several.

  Returns:
    int32 [N], slot of every image, 0 <= slot < 20, equal within a group.
  """
  classes, class_of = np.unique(np.asarray(labels), return_inverse=True)
  member_of = np.zeros((len(class_of), len(classes)), np.int64)
  member_of[np.arange(len(class_of)), class_of] = 1
  names, group_of = np.unique(np.asarray(group_ids, dtype=np.str_), return_inverse=True)
  if not len(names):
    return np.zeros(0, np.int32)
  table = _Table(names, _sums(group_of, member_of, len(names)))
  table.place_all()
  return table.slots[group_of]


def assign_jointly(
  group_ids: Sequence[str] | np.ndarray,
  memberships: np.ndarray,
  tolerance: float,
  max_sweeps: int = 30,
) -> np.ndarray:
  """Gives each group one slot so that the classes of several data sets are spread evenly at once.

  Starts as `assign_slots` does, then moves groups one at a time to where the deviation is smallest.
  After every sweep a fold or split that misses the tolerance in a class counts twice as much as
  before, until none does.

  Args:
    group_ids: [N] group of every image.
    memberships: bool or int [N, C], whether an image counts for a column: a class of a data set.
      An image may count for several (HAM10000's melanomas are ISIC 2019's too) or for none.
    tolerance: largest relative deviation of a column's count from its share, over the folds and
      splits, that is left alone; columns of fewer than 100 images are not pursued.
    max_sweeps: how often all groups are considered.

  Returns:
    int32 [N], slot 0..19 of every image, equal within a group.
  """
  names, group_of = np.unique(np.asarray(group_ids, dtype=np.str_), return_inverse=True)
  table = _Table(names, _sums(group_of, np.asarray(memberships), len(names)))
  table.place_all()
  table.weight[:NUM_SLOTS] = 0.05  # Nothing is read off a single slot, so it may deviate.
  for _ in range(max_sweeps):
    missed = table.deviation() > tolerance
    missed[:NUM_SLOTS] = False
    missed[:, table.totals < _PURSUED] = False
    table.weight[missed] *= 2
    if not table.move_all() and not missed.any():
      break
  return table.slots[group_of]


class _Table:
  """Groups in slots, and how many images of every column lie in every slot, fold and split."""

  def __init__(self, names: np.ndarray, counts: np.ndarray):
    """Starts with all groups unplaced.

    Args:
      names: [G] names of the groups.
      counts: int [G, C] images of every group that count for every column.
    """
    self.slots = np.zeros(len(names), np.int32)
    self.totals = np.maximum(counts.sum(axis=0), 1)
    self._counts = counts
    self._present = [np.nonzero(row)[0] for row in counts]
    self._member, self._share = _units()
    self._filled = np.zeros((len(self._share), counts.shape[1]), np.int64)
    self.weight = np.ones(self._filled.shape)
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names]
    # Rotates the search, so that ties do not all go to the first slots.
    self._offsets = [int.from_bytes(digest[:4], 'little') % NUM_SLOTS for digest in digests]
    largest_share = (counts / self.totals).max(axis=1)
    self._order = sorted(range(len(names)), key=lambda row: (-largest_share[row], digests[row]))

  def place_all(self) -> None:
    for group in self._order:
      self._add(group, self._best(group))

  def move_all(self) -> int:
    """Takes every group out and puts it where it fits best; returns how many moved."""
    moved = 0
    for group in self._order:
      before = self.slots[group]
      self._filled[self._member[before] > 0] -= self._counts[group]
      self._add(group, self._best(group))
      moved += int(self.slots[group] != before)
    return moved

  def deviation(self) -> np.ndarray:
    """Returns |count - share| / share for every unit and column."""
    target = self._share[:, None] * self.totals
    return np.abs(self._filled - target) / target

  def _add(self, group: int, slot: int) -> None:
    self.slots[group] = slot
    self._filled[self._member[slot] > 0] += self._counts[group]

  def _best(self, group: int) -> int:
    present = self._present[group]
    added, totals = self._counts[group, present], self.totals[present]
    # Growth of sum_c ((filled - target) / total)^2 / share, for adding the group to each unit.
    deviation = self._filled[:, present] - self._share[:, None] * totals
    growth = (2 * deviation + added) * added / totals**2 * self.weight[:, present]
    cost = np.round(self._member @ (growth.sum(axis=1) / self._share), 12)
    offset = self._offsets[group]
    return (int(np.argmin(np.roll(cost, -offset))) + offset) % NUM_SLOTS


def _sums(group_of: np.ndarray, rows: np.ndarray, num_groups: int) -> np.ndarray:
  counts = np.zeros((num_groups, rows.shape[1]), np.int64)
  np.add.at(counts, group_of, rows)
  return counts


def _units() -> tuple[np.ndarray, np.ndarray]:
  """Returns which slot belongs to which unit [slots, units] and the share of each unit [units].

  The units are the slots themselves, the 10 folds and the 3 splits.
  """
  parts = [[slot] for slot in range(NUM_SLOTS)]
  parts += [[slot, slot + 1] for slot in range(0, NUM_SLOTS, 2)]
  parts += [list(members) for members in SPLIT_SLOTS.values()]
  member = np.zeros((NUM_SLOTS, len(parts)))
  for unit, part in enumerate(parts):
    member[part, unit] = 1
  return member, member.sum(axis=0) / NUM_SLOTS
