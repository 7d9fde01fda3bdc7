"""One device, eight devices and two processes train alike."""

from __future__ import annotations

import signal
import socket

import jax
import numpy as np
import pytest

from lesionjax import experiment
from lesionjax.training import loop
from tests.programs import finish, records, saved, start


def losses_on(config, num_devices, accumulate=1):
  config.num_devices = num_devices
  config.train.accumulate = accumulate
  config.optimiser.name = 'sgd'  # Adam divides by the gradient and so blows rounding up
  config.optimiser.learning_rate = 0.05
  config.evaluate.batch_size = 16
  pieces = experiment.Pieces.of(config)
  init_key, train_key = pieces.keys
  state = loop.init_state(pieces.task, init_key, pieces.batch_like, pieces.mesh)
  batches = experiment.run_data.train_batches(config, pieces.train, pieces.mesh)
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
