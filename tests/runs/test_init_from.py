"""Starting from another run's weights, and the runs that must not be started from."""

from __future__ import annotations

import numpy as np
import pytest

import lesionjax
from data_builders.errors import UserError
from lesionjax import experiment
from lesionjax.runs import starting
from lesionjax.training import loop


def test_init_from_starts_from_the_weights_and_its_head_policy(config, run):
  config.init_from, config.init_head = str(run), 'reinit'
  pieces = experiment.Pieces.of(config)
  state = loop.init_state(pieces.task, pieces.keys[0], pieces.batch_like, pieces.mesh)
  started = starting.begin(pieces, state)
  best = lesionjax.load(run).weights['params']
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
