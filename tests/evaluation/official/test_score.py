"""The challenge's own program and ours give the same numbers, and the command tells mistakes.

`recorded.json` is what isic-challenge-scoring 5.6.0 returned (`record.py`); where the package is
installed (the extra `official`, which .ci/run installs) it is asked again, also on random tables.
"""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import numpy as np
import pytest

from lesionjax.evaluation import official, score
from tests.evaluation.official import challenge_tables, program

CASES = challenge_tables.recorded_cases()
RECORDED = json.loads((pathlib.Path(__file__).parent / 'recorded.json').read_text())


def ours(tmp_path: pathlib.Path, truth: str, submission: str, metric: str) -> dict[str, Any]:
  for name, text in (('truth', truth), ('submission', submission)):
    (tmp_path / f'{name}.csv').write_text(text)
  known = official.read_truth(tmp_path / 'truth.csv')
  values = official.read_submission(tmp_path / 'submission.csv', known)
  return official.score(known, values, metric).to_dict()


def assert_equal(found: Any, expected: Any, place: str = '') -> None:
  if isinstance(expected, dict):
    for name, value in expected.items():
      assert_equal(found[name], value, f'{place}/{name}')
  elif expected is None or np.isnan(expected):
    assert found is None, place
  else:
    assert found == pytest.approx(expected, abs=1e-6), place


@pytest.fixture(scope='module')
def challenge() -> program.Program:
  found = program.load()
  if found is None:
    pytest.skip('isic-challenge-scoring is not installed')
  return found


@pytest.mark.parametrize('metric', official.METRICS)
@pytest.mark.parametrize('case', CASES)
def test_equals_the_recorded_numbers(case, metric, tmp_path):
  assert_equal(ours(tmp_path, *CASES[case], metric), RECORDED[case][metric])


@pytest.mark.parametrize('case', CASES)
def test_the_record_is_what_the_program_says(challenge, case):
  for metric in official.METRICS:
    assert_equal(challenge(*CASES[case], metric), RECORDED[case][metric])


@pytest.mark.parametrize('seed', range(24))
def test_equals_the_program_on_random_tables(challenge, seed, tmp_path):
  rng = np.random.default_rng(seed)
  classes = challenge_tables.CLASSES_2019 if seed % 2 else challenge_tables.CLASSES_2018
  size, count = len(classes), int(rng.integers(40, 300))
  labels = rng.permutation(np.resize(np.arange(size), count))
  labels[rng.random(count) < 0.05] = -1
  values = rng.dirichlet(np.ones(size), count) + rng.random() * np.eye(size)[labels]
  values = values / values.max() if seed % 3 else np.round(values / values.max(), 1)  # ties
  if seed % 5 == 0:
    values[rng.random((count, size)) < 0.2] = 0.5
  weights = [None, rng.random((count, 2)), rng.integers(0, 3, (count, 2)), rng.random((count, 2))]
  weighed = weights[seed % 4]
  if weighed is not None:
    weighed = weighed.astype(np.float64)
    weighed[labels == -1] = 1.0
    weighed[[np.flatnonzero(labels == k)[0] for k in range(size)]] = 0.7  # every class is scored
  ids = [f'ISIC_{number:07d}' for number in range(35068 - count // 2, 35068 - count // 2 + count)]
  pair = challenge_tables.tables(classes, labels, values, weighed, ids)
  for metric in official.METRICS:
    assert_equal(ours(tmp_path, *pair, metric), challenge(*pair, metric))


def test_the_image_that_was_taken_out_changes_nothing_but_must_be_there(challenge, tmp_path):
  truth, submission = CASES['weights and ISIC_0035068']
  lines = submission.splitlines()
  at = next(i for i, line in enumerate(lines) if line.startswith('ISIC_0035068'))
  other = '\n'.join([*lines[:at], 'ISIC_0035068' + ',0.123' * 7, *lines[at + 1 :]]) + '\n'
  changed = ours(tmp_path, truth, other, 'auc')
  assert changed == ours(tmp_path, truth, submission, 'auc')
  assert_equal(changed, challenge(truth, other, 'auc'))


def test_the_order_of_rows_does_not_matter_and_weights_stay_with_their_images(tmp_path):
  truth, submission = CASES['weights and ISIC_0035068']
  expected = ours(tmp_path, truth, submission, 'auc')

  def shuffled(text: str) -> str:
    header, *rows = text.splitlines()
    return '\n'.join([header, *rows[::-1]]) + '\n'

  found = ours(tmp_path, shuffled(truth), shuffled(submission), 'auc')
  assert 'order of their ids' in found.pop('notes')[0]
  assert expected.pop('notes') == []
  assert found == expected


def test_a_class_without_images_is_told_and_left_out_of_the_mean(tmp_path):
  values = challenge_tables.pattern(24, 7)
  pair = challenge_tables.tables(challenge_tables.CLASSES_2018, np.arange(24) % 6, values)
  found = ours(tmp_path, *pair, 'auc')
  areas = found['per_category']['auc']
  assert areas['VASC'] is None
  assert found['overall'] == pytest.approx(np.mean([areas[c] for c in areas if c != 'VASC']))
  assert 'VASC' in found['notes'][0]
  json.dumps(found, allow_nan=False)


def test_hand_numbers(tmp_path):
  # A tie for the highest calls no class, and .5 is no call.
  truth = 'image,A,B\na,1.0,0.0\nb,1.0,0.0\nc,0.0,1.0\nd,0.0,1.0\n'
  submission = 'image,B,A\na,0.4,0.6\nb,0.5,0.5\nc.JPG,0.9,0.1\nd,0.3,0.7\n'
  found = ours(tmp_path, truth, submission, 'balanced_accuracy')
  assert found['overall'] == found['aggregate']['balanced_accuracy'] == 0.5
  assert found['per_category']['sensitivity'] == {'A': 0.5, 'B': 0.5}
  assert found['per_category']['specificity'] == {'A': 0.5, 'B': 1.0}
  assert found['per_category']['auc'] == {'A': 0.5, 'B': 0.5}


def test_the_command_prints_tables_or_json(tmp_path, capsys):
  truth, submission = CASES['as published in 2018']
  ours(tmp_path, truth, submission, 'auc')
  files = [str(tmp_path / 'submission.csv'), str(tmp_path / 'truth.csv')]
  assert score.main(files) == 0
  recorded = RECORDED['as published in 2018']['balanced_accuracy']
  assert f'balanced_accuracy: {recorded["overall"]:.6f}' in capsys.readouterr().out
  assert score.main([*files, '--json']) == 0
  assert_equal(json.loads(capsys.readouterr().out), recorded)


TRUTH = 'image,A,B\na,1.0,0.0\nb,0.0,1.0\n'
GOOD = 'image,A,B\na,0.9,0.1\nb,0.2,0.8\n'
BAD = {  # what is wrong: (submission, part of the sentence)
  'missing image': ('image,A,B\na,0.9,0.1\n', r'1 missing \(b\)'),
  'extra image': (GOOD + 'c,0.1,0.9\n', r'1 unknown \(c\)'),
  'image twice': (GOOD + 'b.jpg,0.1,0.9\n', 'b occurs twice'),
  'missing column': ('image,A\na,0.9\nb,0.2\n', r'1 missing \(B\)'),
  'extra column': ('image,A,B,C\na,0.9,0.1,0.1\nb,0.2,0.8,0.1\n', r'1 unknown \(C\)'),
  'no images': ('name,A,B\na,0.9,0.1\nb,0.2,0.8\n', 'lacks the column image'),
  'above one': ('image,A,B\na,1.5,0.1\nb,0.2,0.8\n', 'A of a is 1.5'),
  'below zero': ('image,A,B\na,0.9,0.1\nb,-0.2,0.8\n', 'A of b is -0.2'),
  'infinite': ('image,A,B\na,inf,0.1\nb,0.2,0.8\n', 'A of a is inf'),
  'no number': ('image,A,B\na,0.9,0.1\nb,0.2,many\n', "B is 'many'"),
  'no value': ('image,A,B\na,0.9,\nb,0.2,0.8\n', 'no value for B'),
  'nan': ('image,A,B\na,0.9,nan\nb,0.2,0.8\n', 'no value for B'),
  'whole numbers': ('image,A,B\na,1,0.1\nb,0,0.8\n', 'whole numbers only in column A'),
  'short row': ('image,A,B\na,0.9\nb,0.2,0.8\n', '2 values where'),
  'empty': ('', 'is empty'),
}


@pytest.mark.parametrize('case', BAD)
def test_a_bad_submission_is_one_sentence(case, tmp_path, capsys):
  submission, expected = BAD[case]
  (tmp_path / 'submission.csv').write_text(submission)
  (tmp_path / 'truth.csv').write_text(TRUTH)
  assert score.main([str(tmp_path / 'submission.csv'), str(tmp_path / 'truth.csv')]) == 2
  told = capsys.readouterr().err
  assert told.startswith('Error: ')
  assert told.count('\n') == 1
  assert re.search(expected, told), told


@pytest.mark.parametrize('case', BAD)
def test_the_program_refuses_the_same_submissions(challenge, case):
  from isic_challenge_scoring import ScoreError

  assert challenge(TRUTH, GOOD, 'auc')['overall'] == 1
  with pytest.raises(ScoreError):
    challenge(TRUTH, BAD[case][0], 'auc')


@pytest.mark.parametrize(
  ('truth', 'expected'),
  [
    (GOOD, 'is this a submission'),
    ('image\na\nb\n', 'no column of a class'),
    ('image,A,B,score_weight\na,1.0,0.0,-1\nb,0.0,1.0,1\n', 'weights are 0 or more'),
    ('image,A,B,score_weight\na,1.0,0.0,0\nb,0.0,1.0,0\n', 'nothing would be scored'),
    (TRUTH + 'a,1.0,0.0\n', "repeats image 'a'"),
  ],
)
def test_a_bad_truth_is_one_sentence(truth, expected, tmp_path, capsys):
  (tmp_path / 'submission.csv').write_text(GOOD)
  (tmp_path / 'truth.csv').write_text(truth)
  assert score.main([str(tmp_path / 'submission.csv'), str(tmp_path / 'truth.csv')]) == 2
  assert expected in capsys.readouterr().err
