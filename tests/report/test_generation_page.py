"""The page of a generator from files alone: what is missing is said, not guessed."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from lesionjax.report import generation_page
from lesionjax.report.page import write_report
from lesionjax.report.run_files import read_run

NAMES = ('mel', 'nv')


def entry(value):
  return {'value': value, 'low': value - 0.01, 'high': value + 0.01, 'n': 40}


@pytest.fixture
def run_dir(tmp_path):
  def write(name, value):
    (tmp_path / name).write_text(json.dumps(value))

  write(
    'config.json', {'task': 'generate', 'select': {'metric': 'fid'}, 'gan': {'judge': 'runs/j'}}
  )
  told = ('name', 'config', 'version', 'description', 'licence', 'homepage', 'citation')
  about = dict.fromkeys((*told, 'fingerprint'), 'x')
  write('data.json', {**about, 'class_names': NAMES, 'splits': {}})
  names = ('fid', 'kid', 'judge_ratio', 'judge_recall', 'real_recall', 'manifold_precision')
  metrics = {name: entry(0.5) for name in (*names, 'manifold_recall', 'memorised')}
  metrics |= {'real_memorised': entry(0.25), 'kid/mel': entry(0.125)}
  write('metrics.json', {'test': metrics, 'validation': metrics})
  (tmp_path / 'samples').mkdir()
  records = []
  for epoch in range(1, 13):
    head = {'step': 5 * epoch, 'epoch': epoch}
    both = {'loss': 1.0, 'discriminator_loss': 1.5, 'real_logit': 0.2, 'fake_logit': -0.3}
    records += [{'kind': 'train', **head, **both}]
    records += [{'kind': 'validation', **head, **both, 'fid': 9.0 - epoch % 12}]
    cv2.imwrite(str(tmp_path / 'samples' / f'step_{5 * epoch}.png'), np.zeros((4, 4, 3), np.uint8))
  (tmp_path / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, records)))
  return tmp_path


def test_some_moments_are_shown_the_first_and_the_last_among_them(run_dir):
  found = generation_page.context(read_run(run_dir), 'test')['generation']['moments']
  epochs = [int(moment['epoch']) for moment in found]
  assert epochs[0] == 1
  assert epochs[-1] == 12
  assert epochs == sorted(set(epochs))
  assert 3 <= len(epochs) <= 5
  assert np.diff(epochs)[0] < np.diff(epochs)[-1]  # more of the beginning


def test_a_missing_grid_is_left_out(run_dir):
  (run_dir / 'samples' / 'step_60.png').unlink()
  found = generation_page.context(read_run(run_dir), 'test')['generation']['moments']
  assert found[-1]['epoch'] == '11'


def test_the_best_epoch_is_that_of_the_lowest_distance(run_dir):
  page = write_report(run_dir).read_text()
  assert 'the checkpoint of epoch 11 is kept, chosen by fid on validation' in page
  for words in (
    'Classes are recognised 50 % as often as in real images',
    '50.0 % of the generated images lie nearer',
    'images that were held out 25.0 % do',
    'After epoch 12',
    'not measured',  # KID of nevi
    'Judge: runs/j',
  ):
    assert words in ' '.join(page.split())


def test_without_a_judge_the_page_says_so(run_dir):
  losses = {'loss': entry(1.0), 'fake_logit': entry(-1.0)}
  (run_dir / 'metrics.json').write_text(json.dumps({'test': losses}))
  page = write_report(run_dir).read_text()
  assert 'Not measured: no judge was named' in page
  assert 'Class by class' not in page
