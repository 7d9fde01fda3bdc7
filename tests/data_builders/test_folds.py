"""Slots: whole groups, even shares, independent of row order and of chance."""

from __future__ import annotations

import collections
import csv

import numpy as np
import pytest

from data_builders import folds, groups


def skewed(num_groups: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
  """Returns group ids and labels like those of a lesion archive: five classes, 1-6 images."""
  generator = np.random.default_rng(seed)
  label_of = generator.choice(5, num_groups, p=[0.6, 0.2, 0.1, 0.06, 0.04])
  sizes = generator.choice([1, 2, 3, 6], num_groups, p=[0.6, 0.25, 0.1, 0.05])
  group_ids = np.repeat([f'G{index:04d}' for index in range(num_groups)], sizes)
  return group_ids, np.repeat(label_of, sizes)


def assert_even(slots: np.ndarray, labels: np.ndarray, group_ids: np.ndarray) -> None:
  """Each class in each fold and split: within max(10 %, its largest group) of its share."""
  units = [(folds.fold_numbers(slots) == fold, 0.1) for fold in range(10)]
  splits = folds.split_names(slots)
  units += [(splits == name, len(members) / 20) for name, members in folds.SPLIT_SLOTS.items()]
  for label in np.unique(labels):
    of_class = labels == label
    largest = max(collections.Counter(group_ids[of_class]).values())
    for member, share in units:
      expected = share * of_class.sum()
      assert abs((of_class & member).sum() - expected) <= max(0.1 * expected, largest)


def test_a_group_has_one_slot():
  group_ids, labels = skewed()
  slots = folds.assign_slots(group_ids, labels)

  assert slots.dtype == np.int32
  assert set(slots) == set(range(20))
  assert len(set(zip(group_ids, slots, strict=True))) == len(set(group_ids))


@pytest.mark.parametrize('seed', range(3))
def test_every_class_is_even_in_every_fold_and_split(seed):
  group_ids, labels = skewed(seed=seed)

  assert_even(folds.assign_slots(group_ids, labels), labels, group_ids)


def test_groups_of_several_classes_are_spread_evenly_too():
  # Patients with many images, few of them malignant, as in ISIC 2020.
  generator = np.random.default_rng(0)
  sizes = generator.integers(1, 60, 400)
  group_ids = np.repeat([f'P{index}' for index in range(400)], sizes)
  labels = (generator.random(len(group_ids)) < 0.05).astype(int)

  assert_even(folds.assign_slots(group_ids, labels), labels, group_ids)


def test_row_order_and_label_values_do_not_matter():
  group_ids, labels = skewed()
  slots = folds.assign_slots(group_ids, labels)
  order = np.random.default_rng(1).permutation(len(labels))

  np.testing.assert_array_equal(folds.assign_slots(group_ids[order], labels[order]), slots[order])
  np.testing.assert_array_equal(folds.assign_slots(group_ids, labels * 3 + 7), slots)


def test_the_assignment_is_pinned():
  # A change here moves images between splits: it needs a new version of every data set.
  slots = folds.assign_slots([f'G{index}' for index in range(8)], [0, 0, 0, 0, 0, 1, 1, 1])

  assert slots.tolist() == [2, 18, 6, 13, 14, 11, 14, 8]


def test_ties_do_not_all_go_to_the_first_slots():
  # Twenty classes of one image each: no slot is better than another.
  slots = folds.assign_slots([f'G{index}' for index in range(20)], range(20))

  assert len(set(slots)) > 8


def test_no_images_no_slots():
  assert folds.assign_slots([], []).shape == (0,)


def test_splits_and_folds_of_slots():
  slots = [0, 1, 13, 14, 16, 17, 19]

  assert folds.fold_numbers(slots).tolist() == [0, 0, 6, 7, 8, 8, 9]
  assert folds.split_names(slots).tolist() == [
    'train', 'train', 'train', 'validation', 'validation', 'test', 'test',
  ]  # fmt: skip


def imbalance(slots, labels) -> dict[int, float]:
  """Returns for each class its largest relative deviation over the 10 folds and the 3 splits."""
  slots, labels = np.asarray(slots), np.asarray(labels)
  units = [(slots // 2 == fold, 0.1) for fold in range(10)]
  units += [(slots < 14, 0.7), ((slots >= 14) & (slots < 17), 0.15), (slots >= 17, 0.15)]
  worst = {}
  for label in set(labels.tolist()):
    of_class = labels == label
    due = [share * of_class.sum() for _, share in units]
    found = [(of_class & inside).sum() for inside, _ in units]
    worst[label] = max(abs(a - b) / b for a, b in zip(found, due, strict=True))
  return worst


def test_imbalance_by_hand():
  # 20 images of class 3, one a slot, but slot 0 holds the one of slot 19.
  slots = [0, *range(19)]

  # Fold 0 holds 3 where 2 are due, fold 9 holds 1; test holds 2 of 3.
  assert imbalance(slots, [3] * 20) == {3: pytest.approx(0.5)}


@pytest.mark.realdata
@pytest.mark.parametrize('grouped', [True, False])
def test_ham10000_is_within_six_per_cent(shared_data, grouped):
  with (shared_data / 'ham10000' / 'HAM10000_metadata.csv').open(newline='') as file:
    rows = list(csv.DictReader(file))
  image_ids = np.array([row['image_id'] for row in rows])
  names, labels = np.unique([row['dx'] for row in rows], return_inverse=True)
  pairs = groups.near_duplicate_pairs()
  group_ids = groups.connect(image_ids, [row['lesion_id'] for row in rows], pairs=pairs)
  slots = folds.assign_slots(group_ids if grouped else image_ids, labels)

  assert len(names) == 7
  assert len(set(group_ids)) == 7401  # 7,470 lesions, joined by 88 pairs.
  assert max(imbalance(slots, labels).values()) < 0.06
  splits = folds.split_names(slots)
  if grouped:
    assert len(set(zip(group_ids, slots, strict=True))) == 7401
    split_of = dict(zip(image_ids, splits, strict=True))
    known = [pair for pair in pairs if pair[0] in split_of and pair[1] in split_of]
    assert len(known) == 88
    assert all(split_of[one] == split_of[other] for one, other in known)
  else:
    assert len(set(zip(group_ids, slots, strict=True))) > 7401
