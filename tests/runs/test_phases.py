"""Whole runs in phases: killed anywhere and resumed, stopped early, stored features, bad keys."""

import json
import time

import jax
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.runs import phase_inputs, run_data
from lesionjax.runs.dry_run import describe
from lesionjax.runs.phases import phases_of
from lesionjax.runs.pieces import Pieces
from lesionjax.training import classify
from lesionjax.training.checkpoints import Checkpoints
from lesionjax.training.progress import Progress, Rules, after_epoch, next_phase
from tests.programs import Killed, assert_identical, records, saved
from tests.programs import train_here as train

OFF = {'flip_horizontal': False, 'rotation_deg': 0.0, 'noise_std': 0.0}
HEAD = {
  'name': 'head',
  'epochs': 2,
  'trainable': 'head',
  'cache_features': True,
  'augment': OFF,
  'optimiser': {'learning_rate': 1e-2},
}
ALL = {'name': 'all', 'epochs': 1, 'start_from': 'best'}


@pytest.fixture
def config(tiny_config):
  tiny_config.train.ema_decay = 0.9
  tiny_config.schedule.name = 'cosine'
  tiny_config.phases = (HEAD, ALL)
  tiny_config.checkpoint.every_steps = 3
  return tiny_config


def test_killed_in_any_phase_and_resumed_equals_uninterrupted(config, tmp_path, monkeypatch):
  whole = tmp_path / 'whole'
  progress = train(config, whole, monkeypatch)
  assert (progress.phase, progress.phase_step, progress.epoch) == (1, 8, 3)
  steps = [r for r in records(whole) if r['kind'] == 'step']
  assert [r['step'] for r in steps] == list(range(1, 13))
  assert [r['phase'] for r in steps] == ['head'] * 8 + ['all'] * 4
  rates = [r['learning_rate'] for r in steps]
  assert rates[0] == pytest.approx(1e-2)
  assert rates[8] == pytest.approx(1e-3)  # the schedule begins anew
  assert rates[4] == pytest.approx(0.5e-2)  # and is as long as its phase
  killed = tmp_path / 'killed'
  # In the first phase; at the start of the second, of which nothing is saved yet; within it.
  for kind, at in (('step', 5), ('validation', 8), ('step', 9), ('validation', 12)):
    with pytest.raises(Killed):
      train(config, killed, monkeypatch, kind, at)
  train(config, killed, monkeypatch)
  assert records(killed) == records(whole)
  assert_identical(saved(killed, 12), saved(whole, 12))
  before = (whole / 'metrics.jsonl').read_bytes()
  assert train(config, whole, monkeypatch) == progress  # nothing is left to do
  assert (whole / 'metrics.jsonl').read_bytes() == before


def test_stored_features_train_as_images_do(config, tmp_path, monkeypatch):
  config.phases = (HEAD,)
  train(config, tmp_path / 'stored', monkeypatch)
  config.phases = ({**HEAD, 'cache_features': False},)
  train(config, tmp_path / 'images', monkeypatch)
  ours, theirs = saved(tmp_path / 'stored', 8), saved(tmp_path / 'images', 8)
  paths = jax.tree_util.tree_leaves_with_path(ours)
  for (path, a), b in zip(paths, jax.tree.leaves(theirs), strict=True):
    # Adam divides by the gradient and so blows rounding up.
    np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-4, err_msg=str(path))
  one, other = (records(tmp_path / name) for name in ('stored', 'images'))
  for a, b in zip(one, other, strict=True):
    assert a['loss'] == pytest.approx(b['loss'], rel=1e-3)


def test_storing_features_counts_as_training(config, tmp_path, monkeypatch):
  config.phases = (HEAD,)
  features, clock, late = phase_inputs.Inputs._features, time.perf_counter, [0]

  def slow(*arguments):
    late[0] += 30  # seconds that pass on the clock, not in the test
    return features(*arguments)

  monkeypatch.setattr(time, 'perf_counter', lambda: clock() + late[0])
  monkeypatch.setattr(phase_inputs.Inputs, '_features', slow)
  progress = train(config, tmp_path / 'run', monkeypatch)
  assert progress.train_wall_s >= 60  # of training and validation images


def test_a_phase_starts_from_the_best_epoch_with_a_step_of_its_own(config, tmp_path, monkeypatch):
  config.train.ema_decay = 0.0
  config.optimiser.learning_rate = 1e-3
  first = {'name': 'a', 'epochs': 2}
  second = {'name': 'b', 'epochs': 1, 'trainable': 'head', 'start_from': 'best'}
  config.phases = (first, second)
  scores = iter([0.9, 0.1, 0.2])
  monkeypatch.setattr(
    phase_inputs.scoring,
    'validation_metrics',
    lambda *_: {'loss': 1.0, 'balanced_accuracy': next(scores)},
  )
  traces = []
  cross_entropy = classify.losses.cross_entropy

  def counted(*arguments, **options):
    traces.append(1)
    return cross_entropy(*arguments, **options)

  monkeypatch.setattr(classify.losses, 'cross_entropy', counted)
  train(config, tmp_path / 'run', monkeypatch)
  assert len(traces) == 2  # one for each phase
  best, last = saved(tmp_path / 'run', 4)['weights'], saved(tmp_path / 'run', 12)['weights']
  heads = [weights['params'].pop('head') for weights in (best, last)]
  assert_identical(best, last)
  assert (heads[0]['kernel'] != heads[1]['kernel']).any()
  with Checkpoints(tmp_path / 'run') as checkpoints:
    assert checkpoints.best_step == 4  # over all phases


def test_the_best_epoch_is_one_of_the_last_phase_where_that_is_asked_for(
  config, tmp_path, monkeypatch
):
  config.select.phase = 'last'
  config.phases = ({'name': 'a', 'epochs': 2}, {'name': 'b', 'epochs': 2, 'start_from': 'best'})

  def scores(*_):
    return {'loss': 1.0, 'balanced_accuracy': values.pop(0)}

  monkeypatch.setattr(phase_inputs.scoring, 'validation_metrics', scores)
  values = [0.9, 0.1, 0.3, 0.2]
  train(config, tmp_path / 'whole', monkeypatch)
  killed = tmp_path / 'killed'
  values = [0.9, 0.1, 0.3, 0.3, 0.2]
  for kind, at in (('step', 9), ('validation', 12)):  # before and in its first epoch
    with pytest.raises(Killed):
      train(config, killed, monkeypatch, kind, at)
  train(config, killed, monkeypatch)
  for run in ('whole', 'killed'):
    with Checkpoints(tmp_path / run) as checkpoints:
      assert checkpoints.best_step == 12
      assert checkpoints.progress(16).best_metric == 0.3
  assert_identical(saved(killed, 16), saved(tmp_path / 'whole', 16))


def test_patience_and_plateau_act_within_a_phase():
  rules = Rules('accuracy', patience_epochs=2, plateau_epochs=1)
  progress = Progress()
  for step, accuracy in ((1, 0.9), (2, 0.5), (3, 0.5)):
    progress = after_epoch(progress, {'accuracy': accuracy, 'loss': 1.0}, step, rules)
  assert progress.stopped_early
  assert progress.plateau_scale == 0.25
  progress = next_phase(progress, 3)
  assert not progress.stopped_early
  assert (progress.phase, progress.phase_step, progress.plateau_scale) == (1, 3, 1.0)
  for step, accuracy in ((4, 0.1), (5, 0.2), (6, 0.3)):  # worse than before, but rising
    progress = after_epoch(progress, {'accuracy': accuracy, 'loss': 2.0 - accuracy}, step, rules)
  assert not progress.stopped_early
  assert (progress.best_metric, progress.best_step, progress.phase_best) == (0.9, 1, 0.3)
  assert Progress.from_json(progress.to_json()) == progress


def test_progress_of_a_run_from_before_phases():
  values = Progress(epoch=2, best_metric=0.5, epochs_without_better=1).to_json()
  del values['phase_best'], values['phase_step']
  assert Progress.from_json(values).phase_best == 0.5


def test_early_stopping_ends_a_phase_and_the_next_follows(config, tmp_path, monkeypatch):
  config.phases = (
    {**HEAD, 'epochs': 9, 'optimiser': {'learning_rate': 1e-9}, 'select': {'patience_epochs': 1}},
    ALL,
  )
  progress = train(config, tmp_path / 'run', monkeypatch)
  found = [(r['epoch'], r['phase']) for r in records(tmp_path / 'run') if r['kind'] == 'validation']
  assert found[-1] == (progress.epoch, 'all')
  assert len(found) < 10
  assert progress.phase_step == 4 * (progress.epoch - 1)


def test_a_run_without_phases_is_one_phase_and_remembers_no_name(config):
  config.phases = ()
  (phase,) = phases_of(config)
  assert phase.config is config
  assert Pieces.of(config).trainable == (None,)
  plain = config_lib.to_dict(config)
  del plain['phases']  # as runs of earlier versions were saved
  assert not config_lib.differences(
    config_lib.to_dict(config), config_lib.to_dict(config_lib.from_dict(plain))
  )


def test_phases_survive_the_file(config):
  again = config_lib.from_dict(json.loads(json.dumps(config_lib.to_dict(config))))
  assert [phase.name for phase in phases_of(again)] == ['head', 'all']
  assert Pieces.of(again).trainable == (frozenset({'head/bias', 'head/kernel'}), None)


@pytest.mark.parametrize(
  ('phases', 'message'),
  [
    (({'trainable': 'backbone'},), r"phases\[0\]\.trainable='backbone' must be 'head', .* a tuple"),
    (({'trainable': ('haed/.*',)},), r"phases\[0\]\.trainable: the pattern 'haed/\.\*' matches no"),
    (
      ({'trainable': ('head/.*',), 'frozen': ('block.*',)},),
      r"The parameter 'dense/bias' belongs to neither",
    ),
    (
      ({'trainable': ('head/.*',), 'frozen': ('.*',)},),
      r"The parameter 'head/bias' belongs to both",
    ),
    (({'learning_rate': 1.0},), r'phases\[0\]\.learning_rate is not one of name, epochs'),
    (({'optimiser': {'rate': 1.0}},), r'phases\[0\]\.optimiser\.rate is not one of .*learning_r'),
    (({'train': {'batch_size': 8}},), r'train\.batch_size is not one of label_smoothing'),
    (({'optimiser': {'learning_rate': 'x'}},), r"learning_rate='x' must be of the kind of 0\.001"),
    (({}, {'epochs': 0}), r"Phase 'phase2' \(config\.phases\[1\]\): config\.train\.epochs=0"),
    (({'name': 'a'}, {'name': 'a'}), r"phases\[1\]\.name='a' is the name of an earlier"),
    (({'start_from': 'best'},), r"phases\[0\]\.start_from='best' has no effect on the first"),
    (({'cache_features': True},), r"'block1_conv1/kernel' of its features is trainable"),
    (({**HEAD, 'augment': {}},), r'at random \(flip_horizontal, rotation_deg, noise_std\)'),
    (({**HEAD, 'freeze_batch_stats': False},), 'does not go with freeze_batch_stats=False'),
    (({'freeze_batch_stats': False},), 'has no effect where every parameter trains'),
    (('head',), r"phases\[0\]='head' must be a dictionary"),
    (({'epochs': 'x'},), r"phases\[0\]\.epochs='x' must be a whole number"),
    (({'epochs': 1.5},), r'phases\[0\]\.epochs=1\.5 must be a whole number'),
    (({'trainable': None},), r'phases\[0\]\.trainable=None must be'),
    (({'trainable': 'head', 'frozen': None},), r'phases\[0\]\.frozen=None must be'),
    (({'optimiser': 5},), r'phases\[0\]\.optimiser=5 must be a dictionary'),
  ],
)
def test_what_cannot_be_is_told_before_training(config, phases, message):
  config.phases = phases
  with pytest.raises(UserError, match=message) as caught:
    Pieces.of(config)
  assert str(caught.value).count('. ') == 0  # one sentence


def test_features_go_on_where_images_stopped(config):
  pieces = Pieces.of(config)
  images = run_data.train_batches(config, pieces.train, pieces.mesh)
  features = np.arange(len(pieces.train), dtype=np.float32)[:, None]
  stored = run_data.feature_batches(config, features, pieces.train.labels, pieces.mesh)
  for _ in range(3):
    next(images)
  stored.set_state(images.get_state())
  following, stored_following = next(images), next(stored)
  np.testing.assert_array_equal(following['label'], stored_following['label'])
  next(stored)
  images.set_state(stored.get_state())
  np.testing.assert_array_equal(next(images)['label'], next(stored)['label'])
  images.close()
  stored.close()


def test_a_dry_run_tells_what_every_phase_trains(config):
  text = describe(config)
  head = 16 * 8 + 8  # dense features x classes and biases
  assert f'phase head: steps: 8 = 2 epochs x 4, {head} of ' in text
  assert 'parameters train, on stored features\nphase all: steps: 4 = 1 epochs x 4, ' in text
