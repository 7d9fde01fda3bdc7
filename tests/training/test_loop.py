"""The loop on a task of one number: stopping at the very end, traces of short runs, rates."""

import itertools
import os
import signal

import jax
import jax.numpy as jnp
import pytest

from lesionjax.training import loop, stopping, tally, timing
from lesionjax.training.mesh import make_mesh
from lesionjax.training.progress import Progress, Rules
from lesionjax.training.state import State, Task
from lesionjax.training.writer import Writer


def init(key, batch):
  one = jnp.ones((), jnp.float32)
  return State(jnp.zeros((), jnp.int32), {'w': one}, {}, {}, {}, jnp.copy(one), tally.empty(2))


def begin(params, batch_stats, step):
  raise AssertionError('this run has one phase')


def train_step(state, batch, key):
  metrics = dict.fromkeys(('loss', 'grad_norm', 'learning_rate'), state.params['w'])
  return state.replace(step=state.step + 1), metrics


class Checkpoints:
  """Remembers which steps were saved."""

  def __init__(self):
    self.steps = []

  def save(self, state, data, progress):
    self.steps.append(int(state.step))


def train(tmp_path, validate, profile_dir=''):
  task, mesh = Task(init, train_step, lambda *_: {}, begin, tally.summarise), make_mesh(1)
  checkpoints = Checkpoints()
  state = loop.init_state(task, jax.random.key(0), {}, mesh)
  plan = loop.Plan(2, 4, 8, 1, 0, Rules('accuracy'), ('a', 'b'), profile_dir)
  loop.train(
    task,
    state,
    itertools.repeat({}),
    plan=plan,
    key=jax.random.key(1),
    mesh=mesh,
    validate=validate,
    checkpoints=checkpoints,
    writer=Writer(tmp_path),
    progress=Progress(),
  )
  return checkpoints.steps


def test_sigterm_during_the_last_validation_stops_after_saving(tmp_path):
  calls = []

  def validate(state):
    calls.append(int(state.step))
    if len(calls) == 2:
      os.kill(os.getpid(), signal.SIGTERM)
    return {'loss': 1.0, 'accuracy': 0.5}

  before = signal.getsignal(signal.SIGTERM)
  with pytest.raises(stopping.Interrupted, match='Stopped after step 4'):
    train(tmp_path, validate)
  assert calls == [2, 4]
  assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_shorter_than_the_trace_still_ends_it(tmp_path, monkeypatch):
  seen = []
  monkeypatch.setattr(jax.profiler, 'start_trace', lambda directory: seen.append(directory))
  monkeypatch.setattr(jax.profiler, 'stop_trace', lambda: seen.append('stop'))
  steps = train(tmp_path, lambda state: {'loss': 1.0, 'accuracy': 0.5}, profile_dir='here')
  assert steps == [2, 4]
  assert seen == ['here', 'stop']


def test_the_rate_of_a_resumed_epoch_counts_the_images_of_this_start():
  clock = timing.Clock(6)
  clock.stop_epoch(8, batch_size=32)
  assert clock.epoch['images_per_s'] * clock.epoch['wall_s'] == pytest.approx(64)
  clock.stop_epoch(12, batch_size=32)
  assert clock.epoch['images_per_s'] * clock.epoch['wall_s'] == pytest.approx(128)
