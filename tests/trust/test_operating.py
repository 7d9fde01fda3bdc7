"""thresholds.json: what is fitted where, and what is said where nothing can be."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.evaluation import operating
from lesionjax.trust import operating as trust_operating
from tests.report.operating_page import evaluated, write_thresholds

NAMES = ('bkl', 'mel', 'nv')


@pytest.fixture
def make(tmp_path):
  """Writes predictions of two splits; returns their directory."""

  def write(validation=None, test=None, names=NAMES):
    rng = np.random.default_rng(0)
    for split, labels in (('validation', validation), ('test', test)):
      truth = rng.integers(len(names), size=60) if labels is None else np.array(labels)
      logits = (rng.normal(size=(len(truth), len(names))) + np.eye(len(names))[truth]).astype('f4')
      np.savez(
        tmp_path / f'predictions_{split}.npz',
        label=truth,
        group_id=np.arange(len(truth)) // 2,
        logits=logits,
        class_names=np.array(names),
      )
    return tmp_path

  return write


def no_nan(text):
  def refuse(name):
    raise AssertionError(name)

  return json.loads(text, parse_constant=refuse)


def test_thresholds_are_fitted_on_validation_and_measured_on_test(make):
  run = make()
  found = write_thresholds(run)
  no_nan((run / 'thresholds.json').read_text())
  made = evaluated(run)
  truth, scores = ({n: made.labels(n) == 1 for n in made.splits}, {})
  for name in made.splits:
    scores[name] = made.probabilities(name)[:, 1].astype(np.float64)
  expected = operating.fit(truth['validation'], scores['validation'], 10.0)
  assert {k: v['threshold'] for k, v in found['fitted']['points'].items()} == expected
  assert found['fitted']['points']['sensitivity_90']['sensitivity'] >= 0.9
  assert (found['fitted']['on'], found['fitted']['images'], found['fitted']['groups']) == (
    'validation', 60, 30,
  )  # fmt: skip
  point = found['splits']['test']['points']['sensitivity_90']
  called = scores['test'] >= point['threshold']
  assert point['tp']['value'] == (called & truth['test']).sum()
  assert found['positive'] == {
    'name': 'malignant', 'classes': ['mel'], 'unknown': [], 'problem': None
  }  # fmt: skip
  assert 'tuned_on_test' not in found


def test_the_published_protocol_adds_thresholds_tuned_on_test_and_marks_them(make):
  found = write_thresholds(make(), protocol='published')
  tuned = found['tuned_on_test']
  assert tuned['tuned_on_test'] is True
  assert all(point['tuned_on_test'] is True for point in tuned['points'].values())
  assert tuned['points']['sensitivity_90']['sensitivity']['value'] >= 0.9
  ours = found['splits']['test']['points']['best_f1']['f1']['value']
  assert tuned['points']['best_f1']['f1']['value'] >= ours
  assert not any('tuned_on_test' in p for p in found['splits']['test']['points'].values())


def test_other_data_get_the_thresholds_of_the_run_unchanged(make):
  run = make()
  own = write_thresholds(run)
  made = evaluated(run, splits=('test',))
  trust_operating.write(dataclasses.replace(made, out_dir=made.run_dir / 'external'))
  other = json.loads((run / 'external' / 'thresholds.json').read_text())
  assert other['fitted'] == own['fitted']
  assert other['splits']['test'] == own['splits']['test']


def test_other_data_without_thresholds_of_the_run_say_what_to_do(make):
  found = write_thresholds(make(), splits=('test',))
  assert 'evaluate it on its own data first' in found['fitted']['problem']
  assert found['splits']['test']['points'] == {}
  assert found['splits']['test']['sensitivity_at_specificity']['90']['value'] is not None


def test_damaged_thresholds_are_told(make):
  run = make()
  (run / 'thresholds.json').write_text('{"fitted": {"points": {"a": {"threshold": null}}}}')
  with pytest.raises(UserError, match='write it again with --mode=evaluate'):
    trust_operating.write(evaluated(run, splits=('test',)))


@pytest.mark.parametrize(
  ('options', 'words'),
  [
    (
      {'validation': [0] * 30 + [2] * 30},
      'None of the 60 images of validation is positive (malignant)',
    ),
    ({'validation': [1] * 60}, 'None of the 60 images of validation is negative (not malignant)'),
    ({'names': ('bkl', 'df', 'nv')}, 'None of the classes bkl, df, nv is malignant'),
  ],
)
def test_a_validation_split_that_cannot_be_fitted_on_is_told_in_words(make, options, words):
  run = make(**options)
  found = write_thresholds(run, protocol='published')
  no_nan((run / 'thresholds.json').read_text())
  assert found['fitted']['problem'].startswith(words)
  assert found['fitted']['points'] == found['splits']['test']['points'] == {}


def test_a_test_split_without_positives_has_reasons_instead_of_numbers(make):
  run = make(test=[0, 2] * 20)
  found = write_thresholds(run, protocol='published')
  no_nan((run / 'thresholds.json').read_text())
  point = found['splits']['test']['points']['best_f1']
  assert (point['sensitivity']['value'], point['sensitivity']['reason']) == (
    None, 'no image is positive',
  )  # fmt: skip
  assert point['specificity']['value'] is not None
  assert found['tuned_on_test']['problem'].startswith('None of the 40 images of test')


def test_constant_scores_are_told(make):
  run = make()
  made = evaluated(run)
  for outputs in made.outputs.values():
    outputs['logits'] = np.zeros_like(outputs['logits'])
  trust_operating.write(made)
  found = no_nan(pathlib.Path(run / 'thresholds.json').read_text())
  assert found['fitted']['problem'].startswith('All 60 images of validation have the same score')
