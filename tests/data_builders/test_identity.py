"""One group, fold and split for a lesion in all data sets, from the shipped table."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from data_builders import (
  archives,
  configs,
  folds,
  groups,
  identity,
  make_identity,
  schema,
  tables,
)
from data_builders.errors import UserError
from data_builders.ham10000 import ham10000_dataset_builder as ham10000
from data_builders.isic2019 import isic2019_dataset_builder as isic2019
from data_builders.isic2020 import isic2020_dataset_builder as isic2020

KNOWN = ('ISIC_0000000', 'ISIC_0000001')


def test_the_table_is_whole():
  table = identity.table()
  # ISIC 2019 and the one image of Task 1 that it lacks; ISIC 2020 with its duplicates.
  assert len(table) == 25_331 + 1 + 33_126
  assert {slot for _, slot, _ in table.values()} == set(range(20))
  slots: dict[str, set[int]] = {}
  for group, slot, _ in table.values():
    slots.setdefault(group, set()).add(slot)
  assert all(len(some) == 1 for some in slots.values())
  for one, other in groups.near_duplicate_pairs():
    assert table[one][0] == table[other][0]


def test_known_images_get_what_the_table_says_whatever_the_suffix():
  names = [KNOWN[0], f'{KNOWN[1]}_downsampled']
  group_ids, slots = identity.assign(names, [], [0, 0])
  assert group_ids.tolist() == [identity.table()[name][0] for name in KNOWN]
  assert slots.tolist() == [identity.table()[name][1] for name in KNOWN]
  _, image_slots = identity.assign(names, [], [0, 0], by_image=True)
  assert image_slots.tolist() == [identity.table()[name][2] for name in KNOWN]


def test_unknown_images_join_the_lesion_they_share():
  names = [KNOWN[0], 'private_1', 'private_2', 'private_3']
  group_ids, slots = identity.assign(names, [['a', 'a', 'b', 'b']], [0, 0, 0, 0])
  known = identity.table()[KNOWN[0]]
  assert group_ids.tolist() == [known[0], known[0], 'b', 'b']
  assert slots[0] == slots[1] == known[1]
  assert slots[2] == slots[3]


def test_unknown_images_are_spread_as_by_assign_slots():
  names = [f'private_{index}' for index in range(60)]
  lesions = [f'lesion_{index // 2}' for index in range(60)]
  labels = [index // 20 for index in range(60)]
  group_ids, slots = identity.assign(names, [lesions], labels)
  assert group_ids.tolist() == lesions
  np.testing.assert_array_equal(slots, folds.assign_slots(lesions, labels))


def test_a_table_that_contradicts_the_shipped_one_is_refused():
  assert identity.table()[KNOWN[0]][0] != identity.table()[KNOWN[1]][0]
  with pytest.raises(UserError, match='ISIC_0000001 and ISIC_0000000 are connected'):
    identity.assign(list(KNOWN), [['same', 'same']], [0, 0])


def test_joint_balance_of_two_data_sets_by_hand():
  # One class of 200 images, of which 100 are in a second data set too, in groups of 1 to 3.
  rng = np.random.default_rng(0)
  group_ids = np.repeat(np.arange(200), rng.integers(1, 4, 200))[:200].astype(str)
  second = np.arange(200) % 2
  slots = folds.assign_jointly(group_ids, np.stack([np.ones(200, int), second], 1), 0.06)
  fold = slots // 2
  assert np.bincount(fold, minlength=10).tolist() == pytest.approx([20] * 10, abs=1)
  assert np.bincount(fold[second == 1], minlength=10).tolist() == pytest.approx([10] * 10, abs=1)
  assert all(len(set(slots[group_ids == name])) == 1 for name in group_ids)


@pytest.fixture(scope='module')
def real(shared_data):
  """Returns the records and splits of the real tables by data set and way to split."""

  def read(path: str, key: str) -> tables.Table:
    return tables.read_table(shared_data / path, (), key)

  truth_2020 = read('isic2020/ISIC_2020_Training_GroundTruth_v2.csv', 'image_name')
  pairs = read('isic2020/ISIC_2020_Training_Duplicates.csv', 'image_name_2')
  removed = isic2020.duplicates_to_remove(truth_2020, pairs)
  result = {}
  for name in ('grouped', 'random'):
    config = configs.parse(name)
    result['ham10000', name] = ham10000.read_records(
      read('ham10000/HAM10000_metadata.csv', 'image_id'), config
    )
    result['isic2019', name] = isic2019.read_records(
      read('isic2019/ISIC_2019_Training_GroundTruth.csv', 'image'),
      read('isic2019/ISIC_2019_Training_Metadata.csv', 'image'),
      config,
    )
    result['isic2020', name] = isic2020.read_records(truth_2020, removed, config)
  with archives.ZippedImages(
    [shared_data / 'isic2018_task1' / 'ISIC2018_Task1-2_Training_Input.zip'], '.jpg'
  ) as members:
    records = {name: schema.record(name, label=0) for name in sorted(members.ids())}
  splits = identity.split(records, [''] * len(records), [], by_image=False)
  result['isic2018_task1', 'grouped'] = records, splits
  return result


@pytest.mark.realdata
@pytest.mark.slow
def test_the_shipped_table_is_what_the_official_tables_give(shared_data):
  assert make_identity.make(shared_data) == identity.PATH.read_text(encoding='utf-8')


@pytest.mark.realdata
@pytest.mark.parametrize(
  ('name', 'config'),
  [
    *itertools.product(
      ('ham10000', 'isic2019', 'isic2020', 'isic2020 diagnoses'), ('grouped', 'random')
    ),
    ('isic2018_task1', 'grouped'),
  ],
)
def test_every_class_is_even_in_every_split_and_fold(real, name, config):
  dataset, _, diagnoses = name.partition(' ')
  records, splits = real[dataset, config]
  split_of = {image_id: split for split, members in splits.items() for image_id in members}
  shares = {'train': 0.7, 'validation': 0.15, 'test': 0.15} | dict.fromkeys(range(10), 0.1)
  key = 'diagnosis' if diagnoses else 'label'
  for label in {record[key] for record in records.values()}:
    members = {image_id: r for image_id, r in records.items() if r[key] == label}
    counts = Counter(split_of[image_id] for image_id in members)
    counts.update(int(record['fold']) for record in members.values())
    largest = max(Counter(record['group_id'] for record in members.values()).values())
    for unit, share in shares.items():
      expected = share * len(members)
      allowed = max(0.1 * expected, largest)
      if len(members) >= 100:
        allowed = 0.06 * expected
      assert abs(counts[unit] - expected) <= allowed, (label, unit, counts[unit], expected)


@pytest.mark.realdata
def test_no_group_is_divided_within_or_between_data_sets(real):
  places: dict[str, set[tuple[str, int]]] = {}
  lesions: dict[str, set[tuple[str, int]]] = {}
  for dataset in ('ham10000', 'isic2019', 'isic2020', 'isic2018_task1'):
    records, splits = real[dataset, 'grouped']
    for split, members in splits.items():
      for image_id in members:
        place = (split, int(records[image_id]['fold']))
        places.setdefault(records[image_id]['group_id'], set()).add(place)
        if records[image_id]['lesion_id']:
          lesions.setdefault(records[image_id]['lesion_id'], set()).add(place)
  assert all(len(some) == 1 for some in places.values())
  assert all(len(some) == 1 for some in lesions.values())


@pytest.mark.realdata
def test_an_image_has_one_random_fold_in_all_data_sets(real):
  ham, _ = real['ham10000', 'random']
  isic, _ = real['isic2019', 'random']
  folds_of = {identity.canonical_id(name): record['fold'] for name, record in isic.items()}
  assert all(folds_of[name] == record['fold'] for name, record in ham.items())
