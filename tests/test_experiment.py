"""Whole runs on a tiny data set: what they leave, resuming, stopping, mistakes."""

from __future__ import annotations

import json
import shutil
import signal

import jax
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax import experiment
from tests.programs import assert_identical, finish, records, saved, start


def test_a_run_leaves_what_it_promises(run):
  names = {path.name for path in run.iterdir()}
  assert names >= {
    'config.json', 'metrics.jsonl', 'checkpoints', 'metrics.json', 'data.json', 'report.html',
    'environment.json', 'seen.json', 'predictions_validation.npz', 'predictions_test.npz',
    'examples_test.npz',
  }  # fmt: skip
  steps = [r['step'] for r in records(run) if r['kind'] == 'step']
  assert steps == list(range(1, 13))
  assert [r['epoch'] for r in records(run) if r['kind'] == 'validation'] == [1, 2, 3]
  metrics = json.loads((run / 'metrics.json').read_text())
  assert set(metrics) == {'validation', 'validation_per_lesion', 'test', 'test_per_lesion'}
  test = metrics['test']
  data = json.loads((run / 'data.json').read_text())
  for name, count in data['splits']['test']['support'].items():
    assert test[f'support/{name}']['value'] == count
  assert 0 <= test['colour_baseline_auc']['low'] <= test['colour_baseline_auc']['value'] <= 1
  with np.load(run / 'predictions_test.npz', allow_pickle=False) as found:
    assert len(set(found['image_id'])) == len(found['image_id']) == test['accuracy']['n']
    accuracy = (found['probabilities'].argmax(1) == found['label']).mean()
  assert accuracy == pytest.approx(test['accuracy']['value'])


def test_killed_and_resumed_equals_uninterrupted(config, run, tmp_path):
  workdir = tmp_path / 'killed'
  finish(start(config, workdir, 'step', 7), -signal.SIGKILL)
  assert max(int(p.name) for p in (workdir / 'checkpoints').iterdir() if p.name.isdigit()) == 6
  out = finish(start(config, workdir, 'validation', 8), -signal.SIGKILL)
  assert 'began with step 7\n' in out
  assert 'began with step 7\n' in finish(start(config, workdir))
  assert records(workdir) == records(run)
  assert_identical(saved(workdir, 12), saved(run, 12))
  ours, theirs = (json.loads((d / 'metrics.json').read_text()) for d in (workdir, run))
  assert ours == theirs


def test_sigterm_finishes_the_step_saves_and_says_how_to_go_on(config, run, tmp_path):
  workdir = tmp_path / 'stopped'
  out = finish(start(config, workdir, 'step', 5, signal.SIGTERM))
  assert 'Stopped after step 7; the same command carries on from there.' in out
  assert not (workdir / 'report.html').exists()
  assert 'began with step 8\n' in finish(start(config, workdir))
  assert_identical(saved(workdir, 12), saved(run, 12))
  assert records(workdir) == records(run)


def test_a_finished_run_is_only_evaluated_again(config, run):
  before = (run / 'metrics.jsonl').read_bytes()  # wall times included: nothing is done again
  experiment.train(config, str(run))
  assert (run / 'metrics.jsonl').read_bytes() == before


def test_nan_stops_names_the_step_and_keeps_the_last_good_checkpoint(config, tmp_path):
  config.optimiser.name = 'sgd'
  config.optimiser.learning_rate = 1e30
  config.checkpoint.every_steps = 1
  with pytest.raises(UserError, match=r'at step \d+ the loss is .*learning_rate'):
    experiment.train(config, str(tmp_path / 'nan'))
  kept = [int(p.name) for p in (tmp_path / 'nan' / 'checkpoints').iterdir() if p.name.isdigit()]
  for leaf in jax.tree.leaves(saved(tmp_path / 'nan', max(kept))['weights']):
    assert np.isfinite(leaf).all()


def test_another_configuration_is_refused(config, run):
  config.optimiser.learning_rate = 0.5
  with pytest.raises(UserError, match=r'optimiser\.learning_rate: asked for 0\.5, found 0\.001'):
    experiment.train(config, str(run))


def test_a_checkpoint_of_another_shape_is_refused(config, run, tmp_path):
  copy = tmp_path / 'copy'
  shutil.copytree(run, copy)
  with config.unlocked():
    config.model.arguments = {'widths': (8, 16), 'dense_features': 16}
  (copy / 'config.json').write_text(json.dumps(config_lib.to_dict(config)))
  with pytest.raises(UserError, match=r'has shape \(.*\) there and \(.*\) here'):
    experiment.train(config, str(copy))


def test_early_stopping_ends_the_run(config, tmp_path):
  config.train.epochs = 50
  config.optimiser.learning_rate = 1e-9
  config.select.patience_epochs = 1
  config.select.metric = 'accuracy'
  config.evaluate.colour_baseline = False
  experiment.train(config, str(tmp_path / 'run'))
  epochs = [r['epoch'] for r in records(tmp_path / 'run') if r['kind'] == 'validation']
  assert len(epochs) < 5
