"""The classification task as pure functions: one small network, hand-checkable updates."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lesionjax.training.classify import make_task
from lesionjax.training.supervised import Settings


class Linear(nn.Module):
  """Pixels to logits: its gradient is known in closed form."""

  @nn.compact
  def __call__(self, image, train=False):
    x = image.reshape(len(image), -1)
    return nn.Dense(3, name='head')(x), {'pre_logits': x}


def prepare(image, key):
  return image.astype(jnp.float32) / 255.0


def make(**options):
  schedule = optax.constant_schedule(0.5)
  return make_task(Linear(), 3, Settings(optax.sgd(schedule), schedule, **options), prepare)


@pytest.fixture
def batch():
  rng = np.random.default_rng(0)
  return {
    'image': jnp.asarray(rng.integers(0, 256, (8, 2, 2, 3)), jnp.uint8),
    'label': jnp.asarray(rng.integers(0, 3, 8), jnp.int32),
  }


def test_one_step_is_the_gradient_of_softmax_regression(batch):
  task = make()
  state = task.init(jax.random.key(0), batch)
  after, metrics = jax.jit(task.train_step)(state, batch, jax.random.key(1))
  x = np.asarray(batch['image'], np.float64).reshape(8, -1) / 255.0
  kernel = np.asarray(state.params['head']['kernel'], np.float64)
  logits = x @ kernel
  p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  onehot = np.eye(3)[np.asarray(batch['label'])]
  expected = kernel - 0.5 * x.T @ (p - onehot) / 8
  np.testing.assert_allclose(after.params['head']['kernel'], expected, rtol=1e-4, atol=1e-6)
  assert metrics['loss'] == pytest.approx(-np.log((p * onehot).sum(1)).mean(), rel=1e-5)
  assert metrics['learning_rate'] == 0.5
  assert int(after.step) == 1
  assert int(after.tally['confusion'].sum()) == 8


def test_accumulation_gives_the_gradient_of_the_whole_batch(batch):
  key = jax.random.key(1)
  once, fourfold = make(), make(accumulate=4)
  state = once.init(jax.random.key(0), batch)
  whole, whole_metrics = once.train_step(state, batch, key)
  parts, part_metrics = fourfold.train_step(state, batch, key)
  np.testing.assert_allclose(
    parts.params['head']['kernel'], whole.params['head']['kernel'], rtol=1e-5, atol=1e-7
  )
  assert part_metrics['loss'] == pytest.approx(float(whole_metrics['loss']), rel=1e-6)
  np.testing.assert_array_equal(parts.tally['confusion'], whole.tally['confusion'])


def test_lr_scale_scales_the_update(batch):
  task = make()
  state = task.init(jax.random.key(0), batch)
  full, _ = task.train_step(state, batch, jax.random.key(1))
  half, metrics = task.train_step(
    state.replace(lr_scale=jnp.float32(0.5)), batch, jax.random.key(1)
  )
  before = state.params['head']['kernel']
  np.testing.assert_allclose(
    half.params['head']['kernel'] - before,
    0.5 * (full.params['head']['kernel'] - before),
    rtol=1e-5,
    atol=1e-8,
  )
  assert metrics['learning_rate'] == 0.25


def test_average_follows_the_weights(batch):
  task = make(ema_decay=0.9)
  state = task.init(jax.random.key(0), batch)
  after, _ = task.train_step(state, batch, jax.random.key(1))
  old, new = state.params['head']['kernel'], after.params['head']['kernel']
  # at step 0 the decay is min(.9, 1 / 10)
  np.testing.assert_allclose(after.ema['head']['kernel'], 0.1 * old + 0.9 * new, rtol=1e-5)
  assert after.weights['params'] is after.ema
  assert make().init(jax.random.key(0), batch).ema == {}


def test_evaluation_does_not_augment(batch):
  def noisy(image, key):
    return prepare(image, None) if key is None else jnp.zeros(image.shape)

  schedule = optax.constant_schedule(0.5)
  task = make_task(Linear(), 3, Settings(optax.sgd(schedule), schedule), noisy)
  state = task.init(jax.random.key(0), batch)
  logits = task.eval_step(state.weights, batch)['logits']
  x = np.asarray(batch['image'], np.float32).reshape(8, -1) / 255.0
  np.testing.assert_allclose(logits, x @ state.params['head']['kernel'], rtol=1e-4, atol=1e-5)
