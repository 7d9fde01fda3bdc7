"""The files of calibration: fitted on validation, applied unchanged, read back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from etils import epath

from configs import base
from data_builders.errors import UserError
from lesionjax.data.records import Split
from lesionjax.evaluation.calibration import temperature
from lesionjax.trust import calibration, fitted
from lesionjax.trust.evaluated import Evaluated
from tests.evaluation.calibration.predictions import draw

NAMES = ('nv', 'mel', 'df')


def _evaluated(run_dir, splits, out_dir=None, names=NAMES):
  config = base.get_config()
  config.evaluate.resamples = 50
  parts = {}
  for name, drawn in splits.items():
    count = len(drawn.labels)
    parts[name] = Split(
      name='synthetic/tiny',
      split=name,
      class_names=names,
      labels=drawn.labels.astype(np.int32),
      image_ids=np.array([f'{name}_{row}' for row in range(count)]),
      group_ids=np.char.add(f'{name}_', drawn.groups),
      folds=np.zeros(count, np.int32),
      sources=(),
      places=np.zeros((count, 2), np.int64),
    )
  outputs = {
    name: {'logits': drawn.logits.astype(np.float32), 'pre_logits': drawn.logits}
    for name, drawn in splits.items()
  }
  place = epath.Path(run_dir)
  return Evaluated(config, place, epath.Path(out_dir or run_dir), names, parts, outputs)


def _read(folder, name):
  return json.loads((folder / name).read_text(), parse_constant=pytest.fail)  # no NaN


@pytest.fixture
def splits():
  shares = (0.75, 0.245, 0.005)
  return {
    'validation': draw(1000, shares, sharpness=2.0, images=2),
    'test': draw(1000, shares, sharpness=2.0, images=2, seed=1),
  }


def test_everything_is_fitted_on_validation_and_measured_on_test(splits, tmp_path):
  calibration.write(_evaluated(tmp_path, splits))
  found = _read(tmp_path, 'calibration.json')
  assert found['temperature'] == pytest.approx(2.0, rel=0.15)
  assert found['fitted_on'] == {'split': 'validation', 'images': 2000, 'groups': 1000}
  test = found['splits']['test']
  assert test['after']['values']['ece']['value'] < test['before']['values']['ece']['value'] / 2
  assert sum(each['images'] for each in test['after']['bins']) == 2000
  assert found['positive']['classes'] == ['mel']
  sets = _read(tmp_path, 'conformal.json')
  assert list(sets['splits']) == ['test']
  assert 'df: 9 are needed' in sets['classes']['df']['reason']
  assert sets['classes']['df']['threshold'] is None
  assert sets['splits']['test']['classes']['df']['coverage']['value'] == 1.0
  abstention = _read(tmp_path, 'selective.json')
  rows = abstention['splits']['test']['triage']['suspicion']
  assert [row['missed']['value'] for row in rows] == sorted(
    (row['missed']['value'] for row in rows), reverse=True
  )


def test_what_was_fitted_is_read_back(splits, tmp_path):
  assert fitted.read_temperature(tmp_path) is None
  assert fitted.read_conformal(tmp_path) is None
  evaluated = _evaluated(tmp_path, splits)
  calibration.write(evaluated)
  value, sets = fitted.read_temperature(tmp_path), fitted.read_conformal(tmp_path)
  assert value is not None
  assert sets is not None
  chosen = sets.sets(temperature.probabilities_of(evaluated.logits('test'), value))
  held = chosen[np.arange(2000), evaluated.labels('test')].mean()
  assert held == _read(tmp_path, 'conformal.json')['splits']['test']['coverage']['value']
  assert sets.always.tolist() == [False, False, True]


def test_other_data_take_what_the_run_has_fitted(splits, tmp_path):
  run_dir, other = tmp_path / 'run', tmp_path / 'run' / 'external'
  run_dir.mkdir()
  other.mkdir()
  new = {'test': draw(100, (0.5, 0.4, 0.1), seed=5)}
  calibration.write(_evaluated(run_dir, new, other))  # of a run that was never calibrated
  assert 'evaluate it on its own data first' in _read(other, 'calibration.json')['reason']
  assert _read(other, 'calibration.json')['temperature'] == 1.0
  assert not (other / 'conformal.json').exists()
  calibration.write(_evaluated(run_dir, splits))
  calibration.write(_evaluated(run_dir, new, other))
  for name, keys in (
    ('calibration.json', ('temperature', 'fitted_on')),
    ('conformal.json', ('classes', 'fitted_on')),
    ('selective.json', ('cuts', 'fitted_on')),
  ):
    ours, theirs = _read(run_dir, name), _read(other, name)
    assert [ours[key] for key in keys] == [theirs[key] for key in keys]
    assert list(theirs['splits']) == ['test']


def test_a_split_that_is_validation_and_test_is_measured_on_itself(splits, tmp_path):
  evaluated = _evaluated(tmp_path, {'test': splits['test']})
  evaluated.config.data.validation_split = 'test'
  calibration.write(evaluated)
  assert _read(tmp_path, 'conformal.json')['fitted_on']['split'] == 'test'
  assert list(_read(tmp_path, 'conformal.json')['splits']) == ['test']


def test_constant_logits_and_one_class_are_told(tmp_path):
  flat = draw(60, (0.7, 0.3))
  flat = type(flat)(flat.labels, np.zeros((60, 2)), flat.groups)
  calibration.write(_evaluated(tmp_path, {'validation': flat, 'test': flat}, names=('nv', 'mel')))
  assert 'changes nothing' in _read(tmp_path, 'calibration.json')['reason']
  area = _read(tmp_path, 'selective.json')['splits']['test']['risk_coverage']
  assert 'same confidence' in area['reason']
  one = type(flat)(np.zeros(60, int), draw(60, (0.7, 0.3)).logits, flat.groups)
  calibration.write(_evaluated(tmp_path, {'validation': one, 'test': one}, names=('nv', 'mel')))
  assert 'one class only' in _read(tmp_path, 'calibration.json')['reason']
  triage = _read(tmp_path, 'selective.json')['splits']['test']['triage']
  assert triage['reason'] == 'No image is malignant, so that none can be missed.'
  assert triage['suspicion'] is None


def test_a_task_without_malignant_classes_says_so(splits, tmp_path):
  names = ('nv', 'bkl', 'df')
  calibration.write(_evaluated(tmp_path, splits, names=names))
  assert 'is malignant' in _read(tmp_path, 'selective.json')['splits']['test']['triage']['reason']
  assert 'positive' not in _read(tmp_path, 'calibration.json')['splits']['test']['before']


def test_a_damaged_file_is_told(tmp_path):
  (tmp_path / 'calibration.json').write_text('{"temp')
  with pytest.raises(UserError, match=r'calibration\.json cannot be read .*--mode=evaluate'):
    fitted.read_temperature(tmp_path)
  (tmp_path / 'conformal.json').write_text('{"classes": {"nv": 3}}')
  with pytest.raises(UserError, match=r'conformal\.json cannot be read'):
    fitted.read_conformal(tmp_path)
