"""Whole runs on a tiny data set: resuming, stopping, devices, processes, another test set."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

import lesionjax
from data_builders import build
from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax import experiment, starting
from lesionjax.training import loop
from tests.data_builders import isic_fixture

# Runs `train` on the configuration in argv[1] in the directory argv[2]; sends itself the signal
# argv[5] when the record `argv[3]` of step argv[4] is about to be written. Says which step it began
# with: starting over instead of resuming would leave the same files.
RUNNER = """
import json, os, sys
from lesionjax import config, experiment, processes
from lesionjax.training import writer

values, workdir, kind, step, number = sys.argv[1:]
write = writer.Writer.write
began = []

def write_or_die(self, found, at, *rest):
  if not began:
    began.append(at)
    print(f'began with step {at}', flush=True)
  if (found, at) == (kind, int(step)):
    os.kill(os.getpid(), int(number))
  write(self, found, at, *rest)

writer.Writer.write = write_or_die
if 'JAX_NUM_PROCESSES' in os.environ:
  processes.start()
with open(values) as file:
  settings = config.from_dict(json.load(file))
experiment.run('train', settings, workdir)
"""


def start(config, workdir, kind='', step=0, number=signal.SIGKILL, **environment):
  values = pathlib.Path(f'{workdir}.json')
  values.write_text(json.dumps(config_lib.to_dict(config)))
  return subprocess.Popen(
    [sys.executable, '-c', RUNNER, str(values), str(workdir), kind, str(step), str(int(number))],
    env={**os.environ, **environment},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def finish(process, returncode=0):
  out, err = process.communicate(timeout=300)
  assert process.returncode == returncode, err[-3000:]
  return out


def records(workdir):
  """metrics.jsonl without what a clock says."""
  lines = (pathlib.Path(workdir) / 'metrics.jsonl').read_text().splitlines()
  return [
    {key: value for key, value in json.loads(line).items() if not key.endswith('_s')}
    for line in lines
  ]


def saved(workdir, step):
  path = pathlib.Path(workdir) / 'checkpoints' / str(step)
  like = {name: ocp.metadata(path, checkpointable_name=name).metadata for name in PARTS}
  device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  like = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), like
  )
  return ocp.load_checkpointables(path, like)


PARTS = ('weights', 'rest')


def assert_identical(one, other):
  flat, flat_other = jax.tree.leaves(one), jax.tree.leaves(other)
  assert len(flat) == len(flat_other) > 10
  for a, b in zip(flat, flat_other, strict=True):
    np.testing.assert_array_equal(a, b)


@pytest.fixture
def config(tiny_config):
  tiny_config.train.ema_decay = 0.9
  tiny_config.data.sampling = 'balanced'
  tiny_config.schedule.name = 'plateau'
  tiny_config.schedule.plateau_epochs = 1
  return tiny_config


@pytest.fixture(scope='session')
def finished(tmp_path_factory):
  """Directory of the uninterrupted run; filled by the first test that asks for it."""
  return tmp_path_factory.mktemp('runs') / 'finished'


@pytest.fixture
def run(config, finished):
  config.evaluate.colour_baseline = True
  if not finished.exists():
    finish(start(config, finished))
  return finished


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


def losses_on(config, num_devices, accumulate=1):
  config.num_devices = num_devices
  config.train.accumulate = accumulate
  config.optimiser.name = 'sgd'  # Adam divides by the gradient and so blows rounding up
  config.optimiser.learning_rate = 0.05
  config.evaluate.batch_size = 16
  pieces = experiment.Pieces.of(config)
  init_key, train_key = pieces.keys
  state = loop.init_state(pieces.task, init_key, pieces.batch_like, pieces.mesh)
  batches = experiment.assembly.train_batches(config, pieces.train, pieces.mesh)
  step = jax.jit(pieces.task.train_step, out_shardings=pieces.mesh.replicated)
  losses = []
  for number in range(6):
    state, metrics = step(state, next(batches), jax.random.fold_in(train_key, number))
    losses.append(float(metrics['loss']))
  batches.close()
  assert step._cache_size() == 1  # one trace for all steps
  return losses, jax.tree.map(lambda leaf: np.asarray(leaf.addressable_data(0)), state.params)


def test_one_and_eight_devices_agree(config):
  losses, params = losses_on(config, 1)
  losses_8, params_8 = losses_on(config, 8)
  np.testing.assert_allclose(losses_8, losses, rtol=1e-4)
  for a, b in zip(jax.tree.leaves(params_8), jax.tree.leaves(params), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def free_port():
  with socket.socket() as s:
    s.bind(('localhost', 0))
    return s.getsockname()[1]


@pytest.mark.slow
def test_two_processes_train_save_and_restore(config, tmp_path):
  config.num_devices = 0
  config.optimiser.name = 'sgd'
  config.optimiser.learning_rate = 0.05
  alone = tmp_path / 'alone'
  finish(start(config, alone))
  shared = tmp_path / 'shared'

  def start_both(*arguments):
    address = f'localhost:{free_port()}'
    return [
      start(config, shared, *arguments, JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES='2', JAX_PROCESS_ID=str(index))
      for index in range(2)
    ]  # fmt: skip

  first, second = start_both('step', 7)
  first.communicate(timeout=300)
  second.kill()  # only the first writes records; the other waits for it
  second.communicate(timeout=300)
  assert first.returncode == -signal.SIGKILL
  for process in start_both():
    assert 'began with step 7\n' in finish(process)
  ours = [r for r in records(shared) if r['kind'] == 'step']
  theirs = [r for r in records(alone) if r['kind'] == 'step']
  assert [r['step'] for r in ours] == list(range(1, 13))
  np.testing.assert_allclose([r['loss'] for r in ours], [r['loss'] for r in theirs], rtol=1e-3)
  pairs = zip(
    jax.tree.leaves(saved(shared, 12)['weights']),
    jax.tree.leaves(saved(alone, 12)['weights']),
    strict=True,
  )
  for a, b in pairs:
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
  assert (shared / 'report.html').exists()


def test_nan_stops_names_the_step_and_keeps_the_last_good_checkpoint(config, tmp_path):
  config.optimiser.name = 'sgd'
  config.optimiser.learning_rate = 1e30
  config.checkpoint.every_steps = 1
  with pytest.raises(UserError, match=r'at step \d+ the loss is .*learning_rate'):
    experiment.train(config, str(tmp_path / 'nan'))
  kept = [int(p.name) for p in (tmp_path / 'nan' / 'checkpoints').iterdir() if p.name.isdigit()]
  for leaf in jax.tree.leaves(saved(tmp_path / 'nan', max(kept))['weights']):
    assert np.isfinite(leaf).all()


def test_predict_equals_the_recorded_predictions(run):
  classifier = lesionjax.load(str(run))
  from lesionjax import assembly

  split = assembly.open_data(classifier.config, 'test')
  images = [split.decode(i, 16) for i in range(len(split))]
  prediction = classifier.predict(images, batch_size=24)
  with np.load(run / 'predictions_test.npz', allow_pickle=False) as found:
    np.testing.assert_allclose(prediction.probabilities, found['probabilities'], atol=1e-5)
    assert prediction.labels[0] == found['class_names'][found['probabilities'][0].argmax()]


def test_predict_takes_files_and_names_bad_ones(run, tmp_path):
  import cv2

  classifier = lesionjax.load(run)
  cv2.imwrite(str(tmp_path / 'a.png'), np.full((40, 60, 3), 128, np.uint8))
  assert classifier.predict([tmp_path / 'a.png']).probabilities.sum() == pytest.approx(1)
  (tmp_path / 'bad.jpg').write_bytes(b'no image')
  with pytest.raises(UserError, match=r'bad\.jpg'):
    classifier.predict([str(tmp_path / 'bad.jpg')])
  with pytest.raises(UserError, match='uint8'):
    classifier.predict(np.zeros((1, 8, 8, 3)))
  with pytest.raises(UserError, match='no image'):
    classifier.predict([])


def test_init_from_starts_from_the_weights_and_its_head_policy(config, run):
  config.init_from, config.init_head = str(run), 'reinit'
  pieces = experiment.Pieces.of(config)
  state = loop.init_state(pieces.task, pieces.keys[0], pieces.batch_like, pieces.mesh)
  started = starting.begin(pieces, state)
  best = lesionjax.load(run)._weights['params']
  np.testing.assert_array_equal(started.params['dense']['kernel'], best['dense']['kernel'])
  np.testing.assert_array_equal(started.params['head']['kernel'], state.params['head']['kernel'])
  config.init_head = 'keep'
  pieces = experiment.Pieces.of(config)
  started = starting.begin(pieces, state)
  np.testing.assert_array_equal(started.params['head']['kernel'], best['head']['kernel'])


def test_init_from_refuses_a_run_that_saw_the_test_lesions(config, run, tmp_path):
  config.init_from, config.init_head = str(run), 'keep'
  config.data.train_split, config.data.test_split = 'test', 'train'
  with pytest.raises(UserError, match='was trained on'):
    experiment.train(config, str(tmp_path / 'leaky'))
  assert not (tmp_path / 'leaky').exists()


def test_init_from_refuses_another_shape(config, run, tmp_path):
  config.init_from, config.init_head = str(run), 'reinit'
  with config.unlocked():
    config.model.arguments = {'widths': (8, 16), 'dense_features': 16}
  with pytest.raises(UserError, match=r'(params|batch_stats)/.* has shape'):
    experiment.train(config, str(tmp_path / 'other'))


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


def test_evaluating_another_data_set_in_another_place(run, tiny_data_dir, tmp_path):
  shutil.copytree(tiny_data_dir, tmp_path / 'moved')
  moved = str(tmp_path / 'moved')
  report = experiment.evaluate(str(run), 'synthetic_dermoscopy/tiny', data_dir=moved)
  assert report.endswith('external/synthetic_dermoscopy_tiny/report.html')
  ours = json.loads((run / 'metrics.json').read_text())['test']['accuracy']
  there = run / 'external' / 'synthetic_dermoscopy_tiny' / 'metrics.json'
  assert json.loads(there.read_text())['test']['accuracy'] == ours


def test_an_official_test_set_scores_what_has_a_class(run, tiny_data_dir, tmp_path, capsys):
  # The classes of the synthetic run are those of ISIC 2019; 2 of the 18 test images are of none.
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual', test=True)
  shutil.copytree(tiny_data_dir, tmp_path / 'data')
  build.prepare('isic2019', tmp_path / 'data', manual_dir, progress=False)
  report = experiment.evaluate(str(run), 'isic2019', str(tmp_path / 'data'), 'official_test')
  assert '2 of the 18 images of isic2019/grouped (official_test)' in capsys.readouterr().out
  folder = run / 'external' / 'isic2019_official_test'
  assert report == str(folder / 'report.html')
  with np.load(folder / 'predictions_official_test.npz', allow_pickle=False) as saved:
    names = [saved['class_names'][label] for label in saved['label']]
    found = dict(zip(saved['image_id'].tolist(), names, strict=True))
  truth = isic_fixture.truth_2019(18, first=1000, unknown=True)
  assert found == {
    row['image']: next(c for c in isic_fixture.CLASSES if row[c] == '1.0').lower()
    for row in truth
    if row['UNK'] != '1.0'
  }
  with pytest.raises(UserError, match=r"preprocessing 'stretch24', the run .* with ''"):
    experiment.evaluate(str(run), 'isic2019/grouped-stretch24', str(tmp_path / 'data'))


def test_early_stopping_ends_the_run(config, tmp_path):
  config.train.epochs = 50
  config.optimiser.learning_rate = 1e-9
  config.select.patience_epochs = 1
  config.select.metric = 'accuracy'
  config.evaluate.colour_baseline = False
  experiment.train(config, str(tmp_path / 'run'))
  epochs = [r['epoch'] for r in records(tmp_path / 'run') if r['kind'] == 'validation']
  assert len(epochs) < 5
