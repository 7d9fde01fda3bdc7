"""Leak shares against numbers counted by hand, the closed form against enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from data_builders import groups, tables
from lesionjax.evaluation import leakage

GROUPS = ['a', 'a', 'b', 'b', 'c', 'd', 'a', 'e']
SPLITS = ['train', 'test', 'train', 'val', 'test', 'test', 'test', 'val']
LABELS = ['mel', 'mel', 'nv', 'nv', 'nv', 'mel', 'nv', 'nv']


def test_shares_are_those_counted_by_hand():
  leak = leakage.leak_by_split(GROUPS, SPLITS, LABELS, 'train')
  assert list(leak) == ['test', 'val']
  # test holds a, c, d, a: both images of a leak.
  assert leak['test'].overall == leakage.Share(4, 2)
  assert leak['test'].overall.share == 0.5
  assert leak['test'].classes == {'mel': leakage.Share(2, 1), 'nv': leakage.Share(2, 1)}
  assert leak['val'].overall == leakage.Share(2, 1)
  assert leak['val'].classes == {'nv': leakage.Share(2, 1)}
  leaked = leakage.leaked_images(GROUPS, SPLITS, 'train')
  assert leaked.tolist() == [False, True, False, True, False, False, True, False]
  assert leakage.Share(0, 0).share == 0


def test_divided_keys_supports_and_conflicts():
  assert leakage.divided(GROUPS, SPLITS) == {'a': ('test', 'train'), 'b': ('train', 'val')}
  assert leakage.divided(['', ''], ['train', 'test']) == {}
  assert leakage.support(LABELS, SPLITS) == {
    'test': {'mel': 2, 'nv': 2},
    'train': {'mel': 1, 'nv': 1},
    'val': {'nv': 2},
  }
  assert leakage.groups_with_two_labels(GROUPS, LABELS) == {'a': {'mel': 2, 'nv': 1}}


@pytest.mark.parametrize(('images', 'training'), [(5, 2), (6, 4), (7, 6), (6, 0)])
def test_closed_form_is_the_share_of_all_splits(images, training):
  for size in range(1, images + 1):
    # Image 0 lies outside training; its group is 0 .. size - 1.
    splits = list(itertools.combinations(range(1, images), training))
    hit = sum(any(other < size for other in split) for split in splits)
    expected = hit / len(splits)
    binomial = 1 - math.comb(images - size, training) / math.comb(images - 1, training)
    assert leakage.leak_probability(size, images, training) == pytest.approx(expected, abs=1e-12)
    assert binomial == pytest.approx(expected, abs=1e-12)


def test_closed_form_refuses_what_is_no_split():
  for size, images, training in [(0, 5, 2), (6, 5, 2), (1, 5, 5), (1, 5, -1)]:
    with pytest.raises(ValueError, match='no such split'):
      leakage.leak_probability(size, images, training)


def test_drawn_splits_agree_with_the_closed_form():
  rng = np.random.default_rng(3)
  names = rng.integers(0, 300, 600).astype(str)
  labels = rng.choice(['mel', 'nv'], 600, p=[0.2, 0.8])
  leak = leakage.random_split_leak(names, labels, 0.7, seeds=200)
  for name, expected in [('', leak.overall), *leak.classes.items()]:
    standard_error = leak.sd[name] / 200**0.5
    assert leak.mean[name] == pytest.approx(expected, abs=4 * standard_error)
    assert leak.sd[name] > 0
  assert leakage.random_split_leak(names, labels, 0.7, seeds=5) == leakage.random_split_leak(
    names, labels, 0.7, seeds=5
  )


def test_groups_of_one_leak_nothing_and_one_group_leaks_all():
  labels = ['x'] * 10
  alone = leakage.random_split_leak([str(i) for i in range(10)], labels, 0.8)
  assert alone.overall == 0
  assert alone.mean[''] == 0
  together = leakage.random_split_leak(['g'] * 10, labels, 0.8)
  assert together.overall == 1
  assert together.mean['x'] == 1


def test_a_class_that_is_rarely_drawn_counts_only_where_it_is():
  leak = leakage.random_split_leak(['a', 'a', 'b', 'c'], ['r', 'x', 'x', 'x'], 0.75, seeds=400)
  # The one image of class r is outside training in a quarter of the draws, its sibling is inside.
  assert leak.mean['r'] == 1
  assert leak.classes['r'] == 1


@pytest.mark.parametrize('share', [0.0, 1.0, 0.01])
def test_a_share_that_leaves_a_side_empty_is_refused(share):
  with pytest.raises(ValueError, match='images in training'):
    leakage.random_split_leak(['a', 'b'], ['x', 'x'], share)


def _real(shared_data, table, key, lesion, share, label, drop=()):
  rows = [r for r in tables.read_table(shared_data / table, (key,), key).rows if r[key] not in drop]
  connected = groups.connect([r[key] for r in rows], [r[lesion] for r in rows])
  return leakage.random_split_leak(connected, [r[label] for r in rows], share)


@pytest.mark.realdata
def test_ham10000_leaks_as_published(shared_data):
  table = 'ham10000/HAM10000_metadata.csv'
  leak = _real(shared_data, table, 'image_id', 'lesion_id', 0.8, 'dx')
  assert 100 * leak.overall == pytest.approx(38.7, abs=0.5)
  assert 100 * leak.classes['mel'] == pytest.approx(68.3, abs=0.5)
  assert 100 * leak.mean[''] == pytest.approx(38.7, abs=0.5)
  assert 100 * leak.mean['mel'] == pytest.approx(68.3, abs=1.0)


@pytest.mark.realdata
def test_isic2020_leaks_as_published(shared_data):
  path = shared_data / 'isic2020/ISIC_2020_Training_Duplicates.csv'
  drop = set(tables.read_table(path, ('image_name_2',), 'image_name_2').column('image_name_2'))
  table = 'isic2020/ISIC_2020_Training_GroundTruth_v2.csv'
  by_patient = _real(shared_data, table, 'image_name', 'patient_id', 0.85, 'target', drop)
  assert 100 * by_patient.overall == pytest.approx(99.9, abs=0.05)
  assert 100 * by_patient.classes['1'] == pytest.approx(99.7, abs=0.05)
  by_lesion = _real(shared_data, table, 'image_name', 'lesion_id', 0.85, 'target', drop)
  assert 100 * by_lesion.overall == pytest.approx(0.04, abs=0.005)
