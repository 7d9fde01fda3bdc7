"""The segmentation task as pure functions: a network small enough to check by hand."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lesionjax.training import segment
from lesionjax.training.segmentation_losses import make_segmentation_loss
from lesionjax.training.supervised import Settings


class Pixelwise(nn.Module):
  """One weight a channel: the gradient is that of logistic regression over pixels."""

  auxiliary: bool = False

  @nn.compact
  def __call__(self, image, train=False):
    logits = nn.Conv(1, (1, 1), name='head')(image)
    return logits, {'auxiliary': (logits * 2, logits * 3)} if self.auxiliary else {}


def prepare(pixels, key):
  return pixels[..., :3].astype(jnp.float32) / 255.0, pixels[..., 3]


def make(loss='bce', auxiliary=False, weight=0.0, **options):
  schedule = optax.constant_schedule(0.5)
  settings = Settings(optax.sgd(schedule), schedule, **options)
  return segment.make_task(
    Pixelwise(auxiliary), settings, prepare, make_segmentation_loss(loss), weight
  )


@pytest.fixture
def batch():
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (4, 5, 3, 4))
  pixels[..., 3] %= 2
  return {'image': jnp.asarray(pixels, jnp.uint8), 'label': jnp.zeros(4, jnp.int32)}


def test_one_step_is_the_gradient_of_logistic_regression_over_pixels(batch):
  task = make()
  state = task.init(jax.random.key(0), batch)
  after, metrics = jax.jit(task.train_step)(state, batch, jax.random.key(1))
  x = np.asarray(batch['image'][..., :3], np.float64).reshape(-1, 3) / 255
  y = np.asarray(batch['image'][..., 3], np.float64).reshape(-1)
  kernel = np.asarray(state.params['head']['kernel'], np.float64).reshape(3)
  p = 1 / (1 + np.exp(-x @ kernel))
  expected = kernel - 0.5 * x.T @ (p - y) / len(y)
  got = np.asarray(after.params['head']['kernel']).reshape(3)
  np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
  loss = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
  assert metrics['loss'] == pytest.approx(loss, rel=1e-5)


def test_deep_supervision_adds_the_mean_of_the_other_losses(batch):
  state = make().init(jax.random.key(0), batch)
  losses = {}
  for scale in (1, 2, 3):
    params = jax.tree.map(lambda leaf, s=scale: leaf * s, state.params)
    scaled = make().start(params, {}, state.step)
    losses[scale] = float(make().train_step(scaled, batch, jax.random.key(1))[1]['loss'])
  deep = make(auxiliary=True, weight=0.4)
  total = float(deep.train_step(state, batch, jax.random.key(1))[1]['loss'])
  assert total == pytest.approx(losses[1] + 0.4 * (losses[2] + losses[3]) / 2, rel=1e-5)


def test_accumulation_gives_the_gradient_of_the_whole_batch(batch):
  once, twice = make(), make(accumulate=2)
  state = once.init(jax.random.key(0), batch)
  whole, _ = once.train_step(state, batch, jax.random.key(1))
  parts, _ = twice.train_step(state, batch, jax.random.key(1))
  for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(parts.params), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
  for name in whole.tally:
    np.testing.assert_allclose(parts.tally[name], whole.tally[name], rtol=1e-6)


def test_the_tally_is_the_mean_dice_and_jaccard_over_images():
  mask = np.zeros((3, 2, 2), np.uint8)
  mask[0, 0] = 1
  mask[1] = 1
  logits = np.full((3, 2, 2, 1), -1.0, np.float32)
  logits[0, :, 0] = 1  # half hit: tp 1, fp 1, fn 1
  logits[1, 0, 0] = 0.0  # exactly .5 counts as lesion: tp 1, fn 3
  tally = segment.add_to_tally(segment.empty_tally(), jnp.array([1.0, 2.0, 6.0]), logits, mask)
  found = segment.summarise_tally(jax.device_get(tally))
  assert found['loss'] == pytest.approx(3)
  assert found['dice'] == pytest.approx((0.5 + 2 / 5 + 1) / 3)
  assert found['jaccard'] == pytest.approx((1 / 3 + 1 / 4 + 1) / 3)


def test_outputs_are_bytes_and_tell_what_is_not_finite(batch):
  task = make()
  state = task.init(jax.random.key(0), batch)
  outputs = task.eval_step(state.weights, batch)
  assert outputs['probability'].dtype == outputs['mask'].dtype == jnp.uint8
  assert outputs['probability'].shape == outputs['mask'].shape == (4, 5, 3)
  assert outputs['finite'].all()
  broken = jax.tree.map(lambda leaf: leaf * jnp.nan, state.weights)
  assert not task.eval_step(broken, batch)['finite'].any()
  alone = task.eval_step(state.weights, {'image': batch['image'][..., :3]})
  assert 'mask' not in alone
  np.testing.assert_array_equal(alone['probability'], outputs['probability'])


def test_half_is_128_and_the_ends_are_exact():
  got = segment.to_bytes(jnp.array([0.0, 0.001, 0.4999, 0.5, 1.0]))
  assert got.tolist() == [0, 0, 127, 128, 255]
