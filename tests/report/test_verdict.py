"""What the headline claims follows from the intervals, and only from them."""

from __future__ import annotations

import pytest
from etils import epath

from lesionjax.report.run_files import Run
from lesionjax.report.verdict import compare, tiles, verdict


def entry(value, half=0.02):
  return {'value': value, 'low': value - half, 'high': value + half, 'n': 100}


def make_run(**metrics):
  return Run(
    directory=epath.Path('run'),
    config={},
    metrics={'test': metrics},
    data={'class_names': ['bcc', 'mel', 'nv', 'vasc']},
    environment={},
    history={},
    predictions={},
    examples={},
    broken_lines=0,
  )


@pytest.mark.parametrize(
  ('ours', 'other', 'outcome'),
  [
    (entry(0.9), entry(0.8), 'above'),
    (entry(0.8), entry(0.9), 'below'),
    (entry(0.83), entry(0.8), 'level'),
    (entry(0.9), None, ''),
    ({'value': 0.9, 'low': None, 'high': None, 'n': 5}, entry(0.8), ''),
  ],
)
def test_numbers_differ_where_intervals_do_not_touch(ours, other, outcome):
  assert compare(ours, other) == outcome


@pytest.mark.parametrize(
  ('auc', 'accuracy', 'title', 'words'),
  [
    (0.95, 0.8, 'Better than colour alone and than always', 'is above that of always naming'),
    (0.95, 0.7, 'Better than colour alone; accuracy level', 'cannot be told from'),
    (0.95, 0.4, 'Better than colour alone; less accurate', 'is below that of always'),
    (0.88, 0.8, 'Not shown to add to colour alone', 'that the network adds anything to colour'),
    (0.70, 0.4, 'Worse than colour alone and than', 'below what 15 colour statistics reach'),
  ],
)
def test_the_verdict_follows_the_intervals(auc, accuracy, title, words):
  run = make_run(
    macro_auc=entry(auc),
    colour_baseline_auc=entry(0.877),
    accuracy=entry(accuracy),
    majority_accuracy=entry(0.69),
  )
  said, sentences = verdict(run, 'test')
  assert said.startswith(title)
  assert words in ' '.join(sentences)


def test_without_a_baseline_the_verdict_says_so():
  run = make_run(accuracy=entry(0.8), majority_accuracy=entry(0.69))
  title, sentences = verdict(run, 'test')
  assert title == 'More accurate than always naming the most frequent class'
  assert 'No colour baseline was measured' in ' '.join(sentences)


def test_the_weakest_and_the_strongest_class_are_named():
  recalls = {'recall/mel': entry(0.3), 'recall/nv': entry(0.9), 'recall/bcc': entry(0.5)}
  run = make_run(balanced_accuracy=entry(0.56), **recalls)
  text = ' '.join(verdict(run, 'test')[1])
  assert 'from 0.300 (0.280 to 0.320) for mel to 0.900 (0.880 to 0.920) for nv' in text
  assert 'guessing: 0.250' in text


def test_tiles_hold_the_line_a_number_is_measured_against():
  run = make_run(
    macro_auc=entry(0.9), colour_baseline_auc=entry(0.75), balanced_accuracy=entry(0.5)
  )
  by_title = {tile['title']: tile for tile in tiles(run, 'test')}
  auc = by_title['Macro AUC']
  assert auc['strip'] == {'left': 76.0, 'width': 8.0, 'point': 80.0}  # of a track from 0.5 to 1
  assert auc['mark'] == {'point': 50.0, 'text': 'colour baseline 0.750'}
  assert by_title['Balanced accuracy']['mark'] == {'point': 25.0, 'text': 'chance 0.250'}
  assert by_title['Accuracy']['cell']['value'] == 'not measured'


def test_lesions_at_the_border_are_told_in_a_sentence():
  share = {'value': 312 / 1500, 'low': 0.187, 'high': 0.2304, 'n': 1500}
  _, sentences = verdict(make_run(lesion_at_border=share), 'test')
  assert 'In 312 of 1,500 images with a lesion its mask reaches the border' in sentences[-1]
  assert '(20.8 %, 18.7 to 23.0)' in sentences[-1]
  assert 'border' not in ' '.join(verdict(make_run(), 'test')[1])
