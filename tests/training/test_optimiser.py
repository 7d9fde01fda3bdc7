"""Schedules at points that can be worked out by hand; optimisers against torch-free formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from lesionjax.training.optimiser import make_optimiser, make_schedule


def schedule_of(steps_per_epoch=10, total_steps=100, learning_rate=1.0, **changes):
  schedule = base.get_config().schedule
  schedule.update(changes)
  return make_schedule(schedule, learning_rate, steps_per_epoch, total_steps)


def test_constant_with_warmup():
  rate = schedule_of(name='constant', warmup_epochs=1.0)
  np.testing.assert_allclose([rate(0), rate(5), rate(10), rate(99)], [0, 0.5, 1, 1], rtol=1e-6)


def test_step_drops_at_epochs():
  rate = schedule_of(name='step', step_epochs=2, step_factor=0.1)
  np.testing.assert_allclose(
    [rate(0), rate(19), rate(20), rate(39), rate(40)], [1, 1, 0.1, 0.1, 0.01], rtol=1e-6
  )


def test_cosine_is_half_way_down_in_the_middle():
  rate = schedule_of(name='cosine', final_fraction=0.2)
  np.testing.assert_allclose([rate(0), rate(50), rate(100)], [1, 0.6, 0.2], rtol=1e-6)


def test_one_cycle_peaks_where_it_says_and_ends_low():
  rate = schedule_of(name='one_cycle', rise_share=0.3)
  assert rate(0) == pytest.approx(1 / 25)
  assert rate(15) == pytest.approx((1 + 1 / 25) / 2)  # half a cosine
  assert rate(30) == pytest.approx(1.0)
  assert rate(65) == pytest.approx(0.5)
  assert rate(100) == pytest.approx(0.0, abs=1e-6)
  assert max(float(rate(step)) for step in range(100)) == pytest.approx(1.0)


def updates_of(name, steps=3, clip_norm=0.0, **changes):
  optimiser = base.get_config().optimiser
  optimiser.name = name
  optimiser.update(changes)
  tx = make_optimiser(optimiser, lambda step: optimiser.learning_rate, clip_norm)
  params = {'kernel': jnp.array([[2.0, -1.0]]), 'bias': jnp.array([3.0])}
  state, seen = tx.init(params), []
  for _ in range(steps):
    grads = {'kernel': jnp.array([[0.5, 0.25]]), 'bias': jnp.array([-0.5])}
    updates, state = tx.update(grads, state, params)
    params = jax.tree.map(jnp.add, params, updates)
    seen.append(params)
  return seen


def test_sgd_with_momentum_and_l2_by_hand():
  first, second, _ = updates_of('sgd', learning_rate=0.1, weight_decay=0.1, beta1=0.9)
  # v1 = g + wd p = .5 + .2 = .7 ; p1 = 2 - .07
  assert first['kernel'][0, 0] == pytest.approx(1.93)
  # v2 = .9 * .7 + .5 + .1 * 1.93 = 1.323 ; p2 = 1.93 - .1323
  assert second['kernel'][0, 0] == pytest.approx(1.7977)


def test_adamw_decays_decoupled_and_never_biases():
  first, *_ = updates_of('adamw', learning_rate=0.1, weight_decay=0.5)
  # Adam's first step is lr * sign(g); decay adds lr * wd * p = .1 * .5 * 2
  assert first['kernel'][0, 0] == pytest.approx(2.0 - 0.1 - 0.1, rel=1e-5)
  assert first['bias'][0] == pytest.approx(3.0 + 0.1, rel=1e-5)


def test_adam_decay_goes_through_the_moments():
  first, *_ = updates_of('adam', learning_rate=0.1, weight_decay=0.5)
  assert first['kernel'][0, 0] == pytest.approx(2.0 - 0.1, rel=1e-5)


def test_clipping_bounds_the_global_norm():
  first, *_ = updates_of('sgd', learning_rate=1.0, beta1=0.0, clip_norm=0.1)
  norm = np.sqrt(0.5**2 + 0.25**2 + 0.5**2)
  assert first['kernel'][0, 0] == pytest.approx(2.0 - 0.5 * 0.1 / norm, rel=1e-5)
