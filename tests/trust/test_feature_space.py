"""A map that is the same every time, and neighbours counted by scikit-learn."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from lesionjax.evaluation.neighbourhood import nearest
from lesionjax.trust import feature_space
from tests.trust import made


def test_neighbours_are_scikit_learns_and_of_other_lesions():
  rng = np.random.default_rng(0)
  points, others = rng.normal(size=(30, 4)), rng.normal(size=(50, 4))
  found = nearest(points, np.arange(30), others, np.arange(100, 150), 5)
  expected = NearestNeighbors(n_neighbors=5).fit(others).kneighbors(points)[1]
  assert (np.sort(found, 1) == np.sort(expected, 1)).all()
  own = nearest(others, np.arange(50) // 2, others, np.arange(50) // 2, 5)
  assert not (own // 2 == np.arange(50)[:, None] // 2).any()


def test_the_map_and_the_numbers(tmp_path):
  evaluated = made.evaluated(tmp_path, feature_map=60)
  feature_space.write(evaluated)
  first = (tmp_path / 'feature_space.npz').read_bytes()
  numbers = json.loads((tmp_path / 'feature_space.json').read_text(), parse_constant=pytest.fail)
  with np.load(tmp_path / 'feature_space.npz', allow_pickle=False) as arrays:
    assert arrays['coordinates'].shape == (60, 2)
    assert np.bincount(arrays['label']).tolist() == [20, 20, 20]
    assert sorted(set(arrays['split'].tolist())) == ['test', 'validation']
  known, asked = (evaluated.outputs[name]['pre_logits'] for name in ('validation', 'test'))
  rows = NearestNeighbors(n_neighbors=10).fit(known).kneighbors(asked)[1]
  labels = evaluated.labels('test')
  same = (evaluated.labels('validation')[rows] == labels[:, None]).mean(1)
  for c, name in enumerate(made.NAMES):
    assert numbers['agreement'][name]['value'] == pytest.approx(same[labels == c].mean())
  assert numbers['agreement']['macro']['value'] == pytest.approx(
    np.mean([same[labels == c].mean() for c in range(3)])
  )
  assert numbers['chance']['mel'] == pytest.approx((evaluated.labels('validation') == 1).mean())
  assert numbers['expected_split'] == pytest.approx(240 / 330)
  assert abs(numbers['same_split']['value'] - 240 / 330) < 0.1
  feature_space.write(evaluated)
  assert (tmp_path / 'feature_space.npz').read_bytes() == first


def test_no_map_where_it_is_not_wanted_or_cannot_be(tmp_path):
  feature_space.write(made.evaluated(tmp_path, feature_map=0))
  feature_space.write(made.evaluated(tmp_path, sizes=(10, 12)))
  assert not list(tmp_path.iterdir())


def test_other_data_have_a_map_without_neighbours(tmp_path):
  evaluated = made.evaluated(tmp_path, feature_map=60)
  splits = {'test': evaluated.splits['test']}
  feature_space.write(dataclasses.replace(evaluated, splits=splits))
  numbers = json.loads((tmp_path / 'feature_space.json').read_text())
  assert numbers == {'splits': ['test'], 'images': 240, 'width': 6}
