"""Counts of a data set, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lesionjax.report.data import statistics, summary
from tests.report import fake_table

# 12 images of class a, 4 of class b; 8 in train, 4 in validation, 4 in test; 2 more scored only.
LABELS = [0] * 6 + [1] * 2 + [0] * 4 + [0] * 2 + [1] * 2 + [0, -1]
SPLITS = ['train'] * 8 + ['validation'] * 4 + ['test'] * 4 + ['official_test'] * 2


def test_classes_are_counted_by_split_and_the_unlabelled_apart():
  table = fake_table.table(LABELS, SPLITS)
  assert statistics.class_counts(table) == {
    'train': {'a': 6, 'b': 2, 'no label': 0},
    'validation': {'a': 4, 'b': 0, 'no label': 0},
    'test': {'a': 2, 'b': 2, 'no label': 0},
    'official_test': {'a': 1, 'b': 0, 'no label': 1},
  }
  assert statistics.totals(table) == {'a': 12, 'b': 4}
  assert statistics.imbalance(statistics.totals(table)) == ('a', 'b', 3.0)


def test_a_class_is_compared_with_its_share_of_the_split():
  found = statistics.deviations(fake_table.table(LABELS, SPLITS))
  # Half of the 16 images are in train: 6 of a and 2 of b are their share; a quarter elsewhere.
  assert found == {
    'train': {'a': 0.0, 'b': 0.0},
    'validation': {'a': pytest.approx(1 / 3), 'b': -1.0},
    'test': {'a': pytest.approx(-1 / 3), 'b': 1.0},
  }


def test_a_class_without_images_and_a_data_set_without_classes():
  table = fake_table.table([0, 0], class_names=('a', 'b', 'unk'))
  assert statistics.totals(table) == {'a': 2}
  assert statistics.imbalance(statistics.totals(table)) is None
  none = fake_table.table([-1, -1], class_names=())
  assert statistics.class_counts(none) == {'train': {}}
  assert statistics.deviations(none) == {}
  assert summary.summary(none)[0] == '2 images without classes in 2 groups'


def test_groups_are_sized_and_those_that_leak_or_contradict_are_found():
  table = fake_table.table(
    [0, 0, 0, 1, 1, -1],
    ['train', 'train', 'test', 'train', 'test', 'train'],
    group_id=['g', 'g', 'g', 'h', 'i', 'h'],
  )
  assert statistics.group_sizes(table).tolist() == [3, 2, 1]
  assert (statistics.groups(table), statistics.groups(table, 'test')) == (3, 2)
  assert statistics.divided_groups(table) == 1
  assert statistics.contradicting_groups(table) == 0  # no label contradicts nothing
  other = fake_table.table([0, 1], group_id=['g', 'g'])
  assert statistics.contradicting_groups(other) == 1
  assert '1 group lies in more than one split' in ' '.join(summary.summary(table)[1])


def test_group_sizes_are_binned_up_to_the_largest():
  sizes = np.array([1, 1, 2, 5, 6, 10, 11])
  assert statistics.binned_group_sizes(sizes) == {
    '1': 2, '2': 1, '3': 0, '4': 0, '5': 1, '6-10': 2, '11-20': 1,
  }  # fmt: skip
  assert statistics.binned_group_sizes(np.array([51, 115]))['51+'] == 2


def test_values_are_crossed_with_classes_and_the_missing_come_last():
  values = np.array(['x', '', 'y', 'y', 'y', ''])
  labels = np.array([0, 1, 1, 1, -1, 0])
  assert statistics.value_counts(values) == {'y': 3, 'x': 1}
  assert list(statistics.cross_counts(values, labels, 2).items()) == [
    ('y', [0, 2]),
    ('x', [1, 0]),
    ('', [1, 1]),
  ]


def test_missing_values_are_counted_by_split():
  table = fake_table.table(
    [0, -1, 1], ['train', 'train', 'test'], sex=['', 'male', ''], age=[np.nan, 0, 50]
  )
  found = statistics.missing_values(table)
  assert found['sex'] == {'train': 1, 'test': 1}
  assert found['age'] == {'train': 1, 'test': 0}
  assert found['label'] == {'train': 1, 'test': 0}
  assert found['patient_id'] == {'train': 2, 'test': 1}
  assert 'mask' not in found


def test_sizes_are_counted_the_most_frequent_first():
  sizes = statistics.size_counts(np.array([[8, 6], [600, 450], [600, 450]]))
  assert list(sizes.items()) == [((600, 450), 2), ((8, 6), 1)]


def test_values_by_class_leave_out_what_is_not_known():
  found = statistics.by_class(np.array([1.0, np.nan, 3.0]), np.array([0, 0, 2]), ('a', 'b', 'c'))
  assert [(name, values.tolist()) for name, values in found] == [('a', [1.0]), ('c', [3.0])]


def test_a_part_of_a_published_data_set_says_so():
  part = fake_table.table([0, 1], ['train', 'official_test'], name='isic2019/grouped')
  assert '1 of its 25,331 images' in summary.part(part)
  assert summary.part(fake_table.table([0, 1])) == ''
