"""The section about an average: what it says, drawn from averaged.json alone."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.evaluation import averaging
from lesionjax.report import averaged, figures, rendering
from lesionjax.report.run_files import read_run
from tests.report import fake_run


def write(directory: pathlib.Path, noise: float = 2.0, members: int = 3, labels=None, **changes):
  """A fake run, and beside it what averaging its members would have written."""
  fake_run.write_fake_run(directory, names=('a', 'b', 'c'), images=60, epochs=2, resamples=20)
  labels = np.arange(300) % 3 if labels is None else labels
  rng = np.random.default_rng(0)
  logits = 2 * np.eye(3)[labels] + noise * rng.normal(size=(members, len(labels), 3))
  said = list(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
  ways = {'single': said[0], 'members': averaging.mean(said)}
  found = averaging.compare(labels, ways, 'single', np.arange(len(labels)), 'abc', 100)
  content = {
    'members': [
      {'name': f'<b>{m}', 'model': 'cnn', 'size_px': 16, 'seed': m,
       'metrics': {'test': found['single'].metrics}}
      for m in range(members)
    ],
    'tta': 'none', 'views': 1, 'chosen_by': 'balanced_accuracy', 'chosen_on': 'validation',
    'test': 'test', 'single': '<b>0', 'class_names': ['a', 'b', 'c'], 'key': 'members',
    'splits': {
      'test': {
        'images': len(labels), 'groups': len(labels),
        'ways': [
          {'key': key, 'metrics': way.metrics, 'gain': way.gain, 'verdicts': way.verdicts}
          for key, way in found.items()
        ],
      }
    },
  }  # fmt: skip
  (directory / 'averaged.json').write_text(json.dumps(content | changes, allow_nan=False))
  return read_run(directory)


def shown(run) -> str:
  with figures.style():
    plots = rendering.write_figures(run.directory / 'figures', {'averaged': averaged.plots(run)})
  template = rendering.environment().get_template('averaged.html.j2')
  return template.render(averaged=averaged.context(run), plots=plots)


def test_a_gain_is_said_first(tmp_path):
  run = write(tmp_path / 'run')
  title = 'Averaging is better in macro AUC, balanced accuracy, accuracy and log loss'
  context = averaged.context(run)
  assert context is not None
  assert context['title'] == title
  html = shown(run)
  assert title in html
  assert '3 runs' in html
  assert 'figures' in html
  assert '&lt;b&gt;0' in html
  assert '<b>' not in html
  assert 'chosen on the test split' not in html


def test_no_gain_is_said_too(tmp_path):
  run = write(tmp_path / 'run', members=1, tta='flips', views=4)
  context = averaged.context(run)
  assert context is not None
  assert context['title'] == 'No gain of averaging is shown'
  assert 'of 4 views of every image' in context['sentences'][0]
  assert 'The runs' not in shown(run)


def test_undefined_numbers_are_words(tmp_path):
  run = write(tmp_path / 'run', labels=np.zeros(60, int))
  context = averaged.context(run)
  assert context is not None
  assert 'an undefined amount' in context['sentences'][1]
  html = shown(run)
  assert 'undefined' in html
  assert 'nan' not in html.split('<img')[0]


def test_a_choice_on_the_test_is_marked(tmp_path):
  assert 'chosen on the test split' in shown(write(tmp_path / 'run', chosen_on='test'))


def test_other_runs_have_no_such_section(tmp_path):
  run = write(tmp_path / 'run')
  (tmp_path / 'run' / 'averaged.json').write_text('{')
  with pytest.raises(UserError, match='not valid JSON'):
    averaged.context(run)
  (tmp_path / 'run' / 'averaged.json').unlink()
  assert averaged.context(run) is None
  assert averaged.plots(run) == []
