"""Runs named NAME_seedN are compared NAME by NAME."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from data_builders.errors import UserError
from lesionjax.studies.comparing import compare
from tests.report import fake_comparison as fake

SKILLS = {
  'none_seed0': 0.2, 'none_seed1': 0.25, 'smote_seed0': 1.6, 'smote_seed1': 1.7, 'smote_seed2': 1.5
}  # fmt: skip


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  return fake.write_classifiers(tmp_path_factory.mktemp('seeds'), SKILLS)


def test_common_seeds_are_averaged(runs):
  compare(str(runs), 'none')
  found = json.loads((runs / 'compare.json').read_text())
  assert [row['name'] for row in found['runs']] == ['none', 'smote']
  assert (found['seeds'], found['left_out']) == ([0, 1], ['smote_seed2'])
  reached = {}
  for name in SKILLS:
    arrays = fake.read(runs / name)
    reached[name] = balanced_accuracy_score(arrays['label'], arrays['probabilities'].argmax(1))
  means = [np.mean([reached[f'{arm}_seed{seed}'] for seed in (0, 1)]) for arm in ('none', 'smote')]
  for row, mean in zip(found['runs'], means, strict=True):
    entry = row['metrics']['balanced_accuracy']
    assert entry['value'] == pytest.approx(mean)
    assert entry['low'] < entry['value'] < entry['high']
  (row,) = found['differences']
  difference = row['differences']['balanced_accuracy']
  assert difference['value'] == pytest.approx(means[1] - means[0])
  assert (difference['verdict'], row['mcnemar']) == ('better', None)
  page = (runs / 'compare.html').read_text()
  assert 'means of 2 trainings (seeds 0, 1)' in page
  assert 'smote_seed2' in page


def test_an_unknown_arm_and_no_common_seed_are_told(runs, tmp_path):
  with pytest.raises(UserError, match='--reference=none_seed0 is not one of the runs none, smote'):
    compare(str(runs), 'none_seed0')
  folder = fake.write_classifiers(tmp_path / 'odd', {'a_seed0': 1.0, 'b_seed1': 1.0})
  with pytest.raises(UserError, match=r'No seed is common to all .*a: 0; b: 1'):
    compare(str(folder))


def test_seeds_of_one_name_are_compared_with_each_other(tmp_path):
  folder = fake.write_classifiers(tmp_path / 'same', {'a_seed0': 1.0, 'a_seed1': 1.0})
  compare(str(folder))
  found = json.loads((folder / 'compare.json').read_text())
  assert [row['name'] for row in found['runs']] == ['a_seed0', 'a_seed1']
  assert found['seeds'] == []
