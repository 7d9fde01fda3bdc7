"""Strategies against imbalance in whole runs: what every phase reads, resuming."""

from __future__ import annotations

import contextlib
import dataclasses

import jax
import numpy as np
import pytest

from lesionjax.data import memory
from lesionjax.data.resample import resample_pixels
from lesionjax.data.sampling import Order
from lesionjax.runs import phase_inputs, pieces
from lesionjax.runs.phase_inputs import Inputs
from lesionjax.runs.pieces import Pieces
from lesionjax.training.loop import init_state
from lesionjax.training.progress import Progress
from tests.programs import Killed, assert_identical, records, saved
from tests.programs import train_here as train
from tests.unequal import OFF, WHOLE, ldam_then_smote


@pytest.fixture
def config(tiny_config, monkeypatch):
  return ldam_then_smote(tiny_config, monkeypatch)


def inputs_of(config, phase):
  """Returns the pieces and what the phase of that number reads."""
  found = Pieces.of(config)
  return found, found.phase(Progress(phase=phase)), contextlib.closing(Inputs(found))


def labels_of(batches, count):
  return np.concatenate([np.asarray(next(batches)['label']) for _ in range(count)])


@pytest.mark.slow
def test_killed_in_any_phase_and_resumed_equals_uninterrupted(config, tmp_path, monkeypatch):
  whole, killed = tmp_path / 'whole', tmp_path / 'killed'
  train(config, whole, monkeypatch)
  steps = [r for r in records(whole) if r['kind'] == 'step']
  per_epoch = len(steps) // 3
  assert [r['phase'] for r in steps] == [n for p in config.phases for n in [p['name']] * per_epoch]
  at = 2 * per_epoch
  # Within the second phase, at the start of the third, and within that, behind a checkpoint.
  for kind, step in (('step', per_epoch + 2), ('step', at + 1), ('step', at + 4)):
    with pytest.raises(Killed):
      train(config, killed, monkeypatch, kind, step)
  train(config, killed, monkeypatch)
  assert records(killed) == records(whole)
  assert_identical(saved(killed, 3 * per_epoch), saved(whole, 3 * per_epoch))


def test_every_phase_reads_in_its_own_order_from_where_the_last_one_stopped(config):
  found, phase, opened = inputs_of(config, 1)
  labels = found.train.labels
  with opened as inputs:
    state = init_state(phase.task, found.keys[0], found.batch_like, found.mesh)

    def drawn(number, sampling, start):
      batches = inputs.batches(found.phase(Progress(phase=number)), state)
      order = Order(labels, config.seed, sampling)
      expected = labels[[order(position) for position in range(16 * start, 16 * (start + 2))]]
      np.testing.assert_array_equal(labels_of(batches, 2), expected)

    drawn(0, 'uniform', 0)
    drawn(1, 'oversample', 2)
    drawn(0, 'uniform', 4)


def test_features_of_training_images_alone_are_resampled(config, monkeypatch):
  found, phase, opened = inputs_of(config, 2)
  assert len(set(np.bincount(found.train.labels).tolist())) > 1
  made = []
  resample = phase_inputs.resample_features

  def watched(features, labels, *rest):
    made.append((features, labels, *resample(features, labels, *rest)))
    return made[0][2:]

  monkeypatch.setattr(phase_inputs, 'resample_features', watched)
  with opened as inputs:
    state = init_state(phase.task, found.keys[0], found.batch_like, found.mesh)
    drawn = labels_of(inputs.batches(phase, state), 40)
    assert inputs._validation is not None
    assert len(inputs._validation) == len(found.validation)
  ((features, given, rows, labels),) = made
  np.testing.assert_array_equal(given, found.train.labels)
  assert len(features) == len(found.train)
  assert len(set(np.bincount(labels).tolist())) == 1
  np.testing.assert_array_equal(rows[: len(features)], features)
  order = Order(labels, config.seed, 'uniform')
  np.testing.assert_array_equal(drawn, labels[[order(position) for position in range(640)]])
  # As many steps as without; weights and margins by the images that there are.
  assert phase.plan.steps_per_epoch == len(found.train) // 16
  assert phase.plan.class_counts == tuple(np.bincount(found.train.labels).tolist())


@pytest.mark.parametrize('kind', ['ram', 'device'])
def test_pixels_are_resampled_once_and_then_augmented(config, kind):
  config.phases = ()
  config.data.input = kind
  config.data.resample, config.data.resample_space = 'smote', 'pixels'
  config.data.sampling = 'balanced'
  found, phase, opened = inputs_of(config, 0)
  split = found.train
  pixels = memory.decode_all(split, 16)
  images, labels = resample_pixels(pixels, split.labels, split.class_names, 'smote', 5, config.seed)
  order = Order(labels, config.seed, 'balanced')
  rows = [order(position) for position in range(16 * 8)]
  assert max(rows) >= len(split)  # of the new ones, too
  with opened as inputs:
    state = init_state(phase.task, found.keys[0], found.batch_like, found.mesh)
    batches = inputs.batches(phase, state)
    for number in range(8):
      batch = next(batches)
      batch = memory.gather(batch) if kind == 'device' else batch
      expected = rows[16 * number : 16 * (number + 1)]
      np.testing.assert_array_equal(batch['image'], images[expected])
      np.testing.assert_array_equal(batch['label'], labels[expected])


def test_a_frozen_network_s_features_of_resampled_pixels(config, monkeypatch):
  config.data.input = 'ram'
  config.data.resample, config.data.resample_space = 'adasyn', 'pixels'
  config.phases = ({'trainable': 'head', 'cache_features': True, 'augment': OFF},)
  monkeypatch.setattr(phase_inputs, 'resample_features', None)  # would be noticed
  calls = []

  def counted(*arguments):
    calls.append(resample_pixels(*arguments))
    return calls[-1]

  monkeypatch.setattr(phase_inputs, 'resample_pixels', counted)
  found, phase, opened = inputs_of(config, 0)
  with opened as inputs:
    state = init_state(phase.task, found.keys[0], found.batch_like, found.mesh)
    batches = inputs.batches(phase, state)
    order = Order(calls[0][1], config.seed, 'uniform')
    rows = [order(position) for position in range(64)]
    got = [next(batches) for _ in range(4)]
    features = np.concatenate([batch['features'] for batch in got])
    image = calls[0][0][rows]
    outputs = dataclasses.replace(phase.settings, cache_features=False)
    task = pieces.make_task(outputs, len(found.train.class_names), phase.plan, found.trainable[0])
    expected = task.eval_step(state.weights, {'image': jax.numpy.asarray(image)})['pre_logits']
  np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
  assert max(rows) >= len(found.train)
  assert len(calls) == 1


def test_a_head_is_drawn_anew_from_seed_and_phase(config, tmp_path, monkeypatch):
  config.train.ema_decay = 0.0
  config.train.loss, config.model.arguments.head = 'cross_entropy', 'linear'
  still = {'optimiser': {'learning_rate': 1e-30}}
  second = {'name': 'second', 'epochs': 1, 'reinit_head': True, 'trainable': 'head', **still}
  config.phases = (WHOLE, second)
  train(config, tmp_path / 'run', monkeypatch)
  found = Pieces.of(config)
  steps = found.plan.steps_per_epoch
  before, after = (saved(tmp_path / 'run', n)['weights']['params'] for n in (steps, 2 * steps))
  phase = found.phase(Progress(phase=1))
  drawn = phase.task.init(jax.random.fold_in(found.keys[0], 1), found.batch_like).params['head']
  np.testing.assert_allclose(after['head']['kernel'], drawn['kernel'], atol=1e-6)
  np.testing.assert_allclose(after['head']['bias'], 0.0, atol=1e-6)
  assert np.abs(after['head']['kernel'] - before['head']['kernel']).max() > 0.1
  del before['head'], after['head']
  assert_identical(before, after)
