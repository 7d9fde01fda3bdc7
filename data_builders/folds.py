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
  num_slots: int = NUM_SLOTS,
) -> np.ndarray:
  """Gives each group one slot so that every class is spread evenly over slots, folds and splits.

  Groups are placed one after the other, those that hold the largest share of a class first, each
  into the slot where the squared relative deviation from proportional shares, summed over
  classes and over slots, folds and splits, becomes smallest. Ties are broken by a hash of the
  group's id: the result depends neither on row order nor on a seed.

  Args:
    group_ids: [N] group of every image.
    labels: int [N] class of every image, any non-negative integers; a group may hold several.
    num_slots: number of slots; folds and splits are balanced too when it is 20.

  Returns:
    int32 [N], slot of every image, 0 <= slot < num_slots, equal within a group.
  """
  names, group_of = np.unique(np.asarray(group_ids, dtype=np.str_), return_inverse=True)
  classes, class_of = np.unique(np.asarray(labels), return_inverse=True)
  if not len(names):
    return np.zeros(0, np.int32)
  counts = np.zeros((len(names), len(classes)), np.int64)
  np.add.at(counts, (group_of, class_of), 1)
  totals = counts.sum(axis=0)

  hashes = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names]
  largest_share = (counts / totals).max(axis=1)
  order = sorted(range(len(names)), key=lambda group: (-largest_share[group], hashes[group]))

  member, share = _units(num_slots)
  filled = np.zeros((len(share), len(classes)), np.int64)
  slots = np.zeros(len(names), np.int32)
  for group in order:
    (present,) = np.nonzero(counts[group])
    added = counts[group, present]
    # Growth of sum_c ((filled - target) / total)^2 / share, for adding the group to each unit.
    deviation = filled[:, present] - share[:, None] * totals[present]
    growth = ((2 * deviation + added) * added / totals[present] ** 2).sum(axis=1) / share
    cost = np.round(member @ growth, 12)
    # Rotated by the hash, so that ties do not all go to the first slots.
    offset = int.from_bytes(hashes[group][:4], 'little') % num_slots
    slot = (int(np.argmin(np.roll(cost, -offset))) + offset) % num_slots
    slots[group] = slot
    filled[member[slot] > 0] += counts[group]
  return slots[group_of]


def imbalance(
  slots: Sequence[int] | np.ndarray,
  labels: Sequence[int] | np.ndarray,
) -> dict[int, float]:
  """Returns for each class its largest deviation from its share over all folds and splits.

  Args:
    slots: int [N], from `assign_slots` with 20 slots.
    labels: int [N] class of every image.

  Returns:
    label -> |count - share| / share, the largest over the 10 folds and the 3 splits.
  """
  slots, labels = np.asarray(slots), np.asarray(labels)
  member, share = _units(NUM_SLOTS)
  member, share = member[:, NUM_SLOTS:], share[NUM_SLOTS:]
  worst = {}
  for label in np.unique(labels):
    per_slot = np.bincount(slots[labels == label], minlength=NUM_SLOTS)
    target = share * per_slot.sum()
    worst[int(label)] = float(np.max(np.abs(per_slot @ member - target) / target))
  return worst


def _units(num_slots: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns which slot belongs to which unit [slots, units] and the share of each unit [units].

  The units are the slots themselves and, with 20 slots, the 10 folds and the 3 splits.
  """
  parts = [[slot] for slot in range(num_slots)]
  if num_slots == NUM_SLOTS:
    parts += [[slot, slot + 1] for slot in range(0, NUM_SLOTS, 2)]
    parts += [list(members) for members in SPLIT_SLOTS.values()]
  member = np.zeros((num_slots, len(parts)))
  for unit, part in enumerate(parts):
    member[part, unit] = 1
  return member, member.sum(axis=0) / num_slots
