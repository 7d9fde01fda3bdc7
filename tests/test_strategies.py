"""Strategies against imbalance in whole runs: what every phase reads, resuming, bad input."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import jax
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax import phase_inputs, pieces
from lesionjax.data import memory
from lesionjax.data.resample import resample_pixels
from lesionjax.data.sampling import Order
from lesionjax.phase_inputs import Inputs
from lesionjax.phases import phases_of
from lesionjax.pieces import Pieces
from lesionjax.run_data import open_data, open_training_data
from lesionjax.training.loop import init_state
from lesionjax.training.progress import Progress
from tests.programs import Killed, assert_identical, records, saved
from tests.programs import train_here as train

OFF = {'flip_horizontal': False, 'rotation_deg': 0.0, 'noise_std': 0.0}
WHOLE = {'name': 'whole', 'epochs': 1}
DEFERRED = {
  'name': 'deferred',
  'epochs': 1,
  'data': {'sampling': 'oversample'},
  'train': {'class_weights': 'effective'},
}
HEAD = {
  'name': 'head',
  'epochs': 1,
  'trainable': 'head',
  'cache_features': True,
  'reinit_head': True,
  'augment': OFF,
  'data': {'resample': 'smote', 'resample_neighbours': 3},
  'train': {'loss': 'cross_entropy'},
}


@pytest.fixture
def config(tiny_config, monkeypatch):
  """Returns LDAM, then weights and another order, then a new head on SMOTE's features."""
  tiny_config.train.loss = 'ldam'
  tiny_config.train.batch_size = 16
  tiny_config.train.ema_decay = 0.9
  tiny_config.checkpoint.every_steps = 2
  tiny_config.phases = (WHOLE, DEFERRED, HEAD)
  monkeypatch.setattr(pieces, 'open_training_data', imbalanced)
  return tiny_config


def imbalanced(config):
  """The tiny data with six images of every class but two."""
  split = open_training_data(config)
  rank = np.array([(split.labels[:i] == split.labels[i]).sum() for i in range(len(split))])
  return split.take((split.labels < 2) | (rank < 6))


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


@pytest.mark.parametrize(
  ('phases', 'values', 'message'),
  [
    (({'data': {'resample': 'smote'}},), {}, r"'phase1' \(config\.phases\[0\]\) has no features"),
    (
      (),
      {'data.resample': 'adasyn'},
      r"A run without config\.phases has no features for .*'adasyn'",
    ),
    ((HEAD,), {}, r'phases\[0\]\.reinit_head=True has no effect on the first'),
    (({}, {'reinit_head': 1}), {}, r'phases\[1\]\.reinit_head=1 must be True or False'),
    (
      ({}, {'reinit_head': True, 'trainable': ('block.*',)}),
      {},
      r'phases\[1\]\.reinit_head=True draws a head anew that the phase does not train',
    ),
    (
      ({'data': {'size_px': 8}},),
      {},
      r'data\.size_px is not one of sampling, resample, resample_n',
    ),
    (({'train': {'loss': 'mse'}},), {}, r"phases\[0\]\): config\.train\.loss='mse' is not one of"),
    (
      ({'train': {'loss': 'logit_adjusted', 'class_weights': 'balanced'}},),
      {},
      r"class_weights='balanced' does not go with config\.train\.loss='logit_adjusted'",
    ),
    (
      ({**HEAD, 'reinit_head': False, 'data': {'resample': 'smote', 'resample_neighbours': 6}},),
      {},
      r'needs 7 training images of a class, and there are 6 of',
    ),
    (
      (),
      {'data.resample': 'smote', 'data.resample_space': 'pixels'},
      r"space='pixels' needs all images in memory: set config\.data\.input='ram' or 'device'",
    ),
    (
      (),
      {
        'data.resample': 'smote',
        'data.resample_space': 'pixels',
        'data.input': 'ram',
        'data.lesion': 'attention',
      },
      r"cannot mix the masks of config\.data\.lesion='attention'",
    ),
    (
      (),
      {'data.resample': 'rose'},
      r"data\.resample='rose' is not one of 'none', 'smote', 'adasyn'",
    ),
    ((), {'train.focal_gamma': -1.0}, r'focal_gamma=-1\.0 must be from 0'),
  ],
)
def test_what_cannot_be_is_told_before_training(config, phases, values, message):
  config.phases = phases
  config.update_from_flattened_dict(values)
  with pytest.raises(UserError, match=message) as caught:
    Pieces.of(config)
  assert str(caught.value).count('. ') == 0  # one sentence


@pytest.mark.parametrize('values', [{'loss': 'ldam'}, {'class_weights': 'effective'}])
def test_a_class_missing_from_the_training_split_is_told(config, values, monkeypatch):
  def without(config):
    split = imbalanced(config)
    return split.take(split.labels != 3)

  monkeypatch.setattr(pieces, 'open_training_data', without)
  config.phases = ()
  config.train.loss = 'cross_entropy'
  name = open_data(config, 'train').class_names[3]
  Pieces.of(config)  # plain cross-entropy can do without
  config.train.update(values)
  with pytest.raises(UserError, match=f'there are none of {name}'):
    Pieces.of(config)
  config.train.loss, config.train.class_weights = 'cross_entropy', 'none'
  config.phases = (WHOLE, HEAD)
  with pytest.raises(UserError, match=f'nothing to fill the class {name!r}'):
    Pieces.of(config)


def test_a_segmenter_has_no_classes_to_balance(segmenter_config):
  segmenter_config.data.resample = 'smote'
  with pytest.raises(UserError, match=r"resample='smote' is for classifiers"):
    Pieces.of(segmenter_config)
  segmenter_config.data.resample = 'none'
  segmenter_config.phases = ({}, {'reinit_head': True})
  with pytest.raises(UserError, match='reinit_head is for classifiers'):
    Pieces.of(segmenter_config)


def test_runs_from_before_are_as_they_were(tiny_config, segmenter_config):
  tiny_config.segmenter = segmenter_config
  plain = config_lib.to_dict(tiny_config)
  old = json.loads(json.dumps(plain))
  for values in (old, old['segmenter']):
    for key in ('class_weights', 'effective_beta', 'focal_gamma', 'ldam_scale'):
      del values['train'][key]
    del values['data']['resample'], values['data']['resample_neighbours']
  assert not config_lib.differences(plain, config_lib.to_dict(config_lib.from_dict(old)))


def test_settings_of_a_phase_are_its_own(config):
  whole, deferred, head = (phase.config for phase in phases_of(config))
  assert (whole.train.loss, deferred.train.loss, head.train.loss) == (
    'ldam',
    'ldam',
    'cross_entropy',
  )
  assert (whole.train.class_weights, deferred.train.class_weights) == ('none', 'effective')
  assert (whole.data.sampling, deferred.data.sampling) == ('uniform', 'oversample')
  assert (deferred.data.resample, head.data.resample) == ('none', 'smote')
