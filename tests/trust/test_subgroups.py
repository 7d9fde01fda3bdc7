"""subgroups.json says what the records say, and says so where they say nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.evaluation.skin.ita import Tone
from lesionjax.trust import subgroups
from tests.trust import made


@pytest.fixture
def known(monkeypatch):
  monkeypatch.setattr(subgroups, 'read_metadata', made.metadata)
  monkeypatch.setattr(subgroups, 'tones_of', made.tones)


def read(run):
  return json.loads((run / 'subgroups.json').read_text(), parse_constant=pytest.fail)  # no NaN


def test_rates_at_the_saved_threshold(known, tmp_path):
  made.write_threshold(tmp_path, 0.3)
  evaluated = made.evaluated(tmp_path)
  subgroups.write(evaluated)
  content = read(tmp_path)
  assert (content['threshold'], content['point']) == (0.3, 'sensitivity_90')
  assert list(content['splits']) == ['test']
  test = content['splits']['test']
  score = evaluated.probabilities('test')[:, 1]
  women = (np.arange(240) % 2 == 1) & (evaluated.labels('test') == 1)
  rows = {row['name']: row for row in test['attributes']['sex']['subgroups']}
  assert rows['female']['sensitivity']['value'] == pytest.approx((score[women] >= 0.3).mean())
  assert rows['female']['positives'] == women.sum()
  assert rows['female']['positive_groups'] == len(set(evaluated.groups('test')[women].tolist()))
  tests = {name: table['tests']['sensitivity'] for name, table in test['attributes'].items()}
  assert tests['sex']['p_holm'] < 0.05
  assert tests['sex']['gap']['highest'] == 'male'
  assert all(test['p'] <= test['p_holm'] for test in tests.values() if test['p'] is not None)
  ages = test['attributes']['age']
  assert ages['recorded'] == 233
  assert ages['subgroups'][-1]['name'] == 'not recorded'
  assert ages['subgroups'][-1]['images'] == 7
  assert test['unmeasured_skin'] == {'too little skin around the lesion': 24}
  skin = {row['name']: row['images'] for row in test['attributes']['skin']['subgroups']}
  assert skin == {'very light': 192, 'tan': 24, 'not recorded': 24}
  assert test['absent'] == ['site']
  assert test['within_source']['single'] == {'nv': 'clinic'}
  with np.load(tmp_path / 'records_test.npz', allow_pickle=False) as records:
    assert records['image_id'].tolist() == evaluated.splits['test'].image_ids.tolist()
    assert np.isnan(records['ita_deg']).sum() == 24


def test_too_few_are_counted_without_a_rate(known, tmp_path):
  made.write_threshold(tmp_path)
  subgroups.write(made.evaluated(tmp_path, min_count=1000))
  for table in read(tmp_path)['splits']['test']['attributes'].values():
    assert all(row['sensitivity'] is None and row['images'] for row in table['subgroups'])
    assert all(test['p'] is None for test in table['tests'].values())


def test_data_without_metadata_say_so(monkeypatch, tmp_path):
  monkeypatch.setattr(subgroups, 'read_metadata', lambda split: {})
  reason = 'no lesion is known'
  nothing = Tone(None, None, 0, reason)
  monkeypatch.setattr(subgroups, 'tones_of', lambda split: [nothing] * len(split))
  subgroups.write(made.evaluated(tmp_path))
  content = read(tmp_path)
  assert (content['threshold'], content['point']) == (0.5, '')
  test = content['splits']['test']
  assert test['absent'] == list(subgroups.ATTRIBUTES)
  assert test['attributes'] == {}
  assert test['within_source'] is None
  assert test['unmeasured_skin'] == {reason: 240}


def test_nothing_positive_is_told(known, tmp_path):
  evaluated = made.evaluated(tmp_path, positive='malignant')
  object.__setattr__(evaluated, 'class_names', ('bkl', 'df', 'nv'))
  for split in evaluated.splits.values():
    object.__setattr__(split, 'class_names', ('bkl', 'df', 'nv'))
  subgroups.write(evaluated)
  content = read(tmp_path)
  assert 'is malignant' in content['problem']
  assert content['splits']['test']['attributes'] == {}
  assert content['splits']['test']['within_source'] is not None


def test_it_can_be_left_out_and_a_damaged_threshold_is_told(known, tmp_path):
  subgroups.write(made.evaluated(tmp_path, subgroups=False))
  assert not (tmp_path / 'subgroups.json').exists()
  (tmp_path / 'thresholds.json').write_text('{"fitted": 3')
  with pytest.raises(UserError, match=r'thresholds\.json cannot be read .*--mode=evaluate'):
    subgroups.write(made.evaluated(tmp_path))
