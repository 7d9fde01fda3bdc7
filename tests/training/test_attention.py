"""The auxiliary mask loss of classifiers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from lesionjax.training import classify
from lesionjax.training.attention import attention_loss
from lesionjax.training.supervised import Settings


def test_energy_spread_as_the_lesion_costs_nothing():
  mask = np.zeros((1, 4, 4), np.uint8)
  mask[0, :2, :2] = 1
  mask[0, 2, 2] = 1  # a quarter of its position
  energy = np.array([[[4.0, 0.0], [0.0, 1.0]]])
  maps = np.sqrt(energy)[..., None] * np.array([0.6, -0.8])
  assert float(attention_loss(jnp.asarray(maps), jnp.asarray(mask))[0]) == pytest.approx(
    0, abs=1e-3
  )


def test_it_is_the_divergence_of_the_two_distributions():
  rng = np.random.default_rng(0)
  maps = rng.normal(size=(2, 2, 3, 5))
  mask = rng.integers(0, 2, (2, 2, 3)).astype(np.uint8)
  a = (maps**2).sum(-1).reshape(2, -1)
  a /= a.sum(1, keepdims=True)
  t = mask.reshape(2, -1) / mask.reshape(2, -1).sum(1, keepdims=True)
  expected = [
    sum(ti * np.log(ti / ai) for ti, ai in zip(*row, strict=True) if ti)
    for row in zip(t, a, strict=True)
  ]
  np.testing.assert_allclose(
    attention_loss(jnp.asarray(maps), jnp.asarray(mask)), expected, rtol=1e-4
  )


def test_an_empty_mask_says_nothing():
  maps, mask = jnp.ones((2, 2, 2, 1)), jnp.zeros((2, 4, 4), jnp.uint8)
  value, gradient = jax.value_and_grad(lambda x: attention_loss(x, mask).sum())(maps)
  assert value == 0
  assert (gradient == 0).all()


def test_a_map_of_zeros_has_a_finite_gradient():
  mask = jnp.ones((1, 4, 4), jnp.uint8)
  gradient = jax.grad(lambda x: attention_loss(x, mask).sum())(jnp.zeros((1, 2, 2, 3)))
  assert jnp.isfinite(gradient).all()


class Small(nn.Module):
  """One convolution, pooled."""

  @nn.compact
  def __call__(self, image, train=False):
    x = nn.Conv(4, (3, 3), strides=2, name='conv')(image)
    pooled = x.mean((1, 2))
    return nn.Dense(2, name='head')(pooled), {'last_map': x, 'pre_logits': pooled}


def test_training_draws_the_map_to_the_lesion_and_evaluation_needs_no_mask():
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (8, 8, 8, 4)).astype(np.uint8)
  pixels[..., 3] = 0
  pixels[:, 2:6, 2:6, 3] = 1
  pixels[:, 2:6, 2:6, :3] //= 4
  batch = {'image': jnp.asarray(pixels), 'label': jnp.asarray(rng.integers(0, 2, 8), jnp.int32)}
  schedule = optax.constant_schedule(0.05)
  settings = Settings(optax.adam(schedule), schedule)

  def prepare(image, key):
    return image[..., :3].astype(jnp.float32) / 255, image[..., 3]

  task = classify.make_attentive_task(Small(), 2, settings, prepare, attention_weight=1.0)
  state = task.init(jax.random.key(0), batch)

  def attention(state):
    image = prepare(batch['image'], None)[0]
    maps = Small().apply({'params': state.params}, image)[1]['last_map']
    return float(attention_loss(maps, batch['image'][..., 3]).mean())

  before = attention(state)
  step = jax.jit(task.train_step)
  for number in range(40):
    state, _ = step(state, batch, jax.random.key(number))
  assert attention(state) < 0.6 * before
  with_mask = task.eval_step(state.weights, batch)
  without = task.eval_step(state.weights, {'image': batch['image'][..., :3]})
  np.testing.assert_array_equal(with_mask['logits'], without['logits'])
