"""Softmax cross-entropy against optax."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lesionjax.training.losses import cross_entropy


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_equals_optax(smoothing):
  rng = np.random.default_rng(0)
  logits = jnp.asarray(rng.normal(size=(9, 5)) * 10, jnp.float32)
  labels = jnp.asarray(rng.integers(0, 5, 9))
  target = optax.smooth_labels(jnp.eye(5)[labels], smoothing)
  expected = optax.softmax_cross_entropy(logits, target)
  np.testing.assert_allclose(cross_entropy(logits, labels, smoothing), expected, rtol=1e-5)


def test_by_hand():
  # softmax of (0, ln 3) is (1/4, 3/4)
  loss = cross_entropy(jnp.array([[0.0, jnp.log(3.0)]]), jnp.array([0]))
  assert loss[0] == pytest.approx(np.log(4.0), rel=1e-6)


def test_huge_logits_stay_finite():
  loss = cross_entropy(jnp.array([[1e4, -1e4]]), jnp.array([1]))
  assert loss[0] == pytest.approx(2e4)
