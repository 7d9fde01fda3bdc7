"""Losses against optax and scikit-learn."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import log_loss

from configs import base
from lesionjax.training.label_loss import make_label_loss
from lesionjax.training.losses import binary_cross_entropy, cross_entropy


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


@pytest.mark.parametrize('pos_weight', [1.0, 4.125])
def test_binary_cross_entropy_equals_scikit_learn(pos_weight):
  rng = np.random.default_rng(0)
  logits = rng.normal(size=(50, 2)) * 3
  labels = rng.integers(0, 2, 50)
  loss = binary_cross_entropy(jnp.asarray(logits), jnp.asarray(labels), pos_weight)
  positive = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
  weight = np.where(labels == 1, pos_weight, 1.0)
  expected = log_loss(labels, positive, normalize=False, sample_weight=weight)
  assert loss.sum() == pytest.approx(expected, rel=1e-5)
  if pos_weight == 1:
    np.testing.assert_allclose(
      loss, cross_entropy(jnp.asarray(logits), jnp.asarray(labels)), rtol=1e-4, atol=1e-5
    )


def test_binary_cross_entropy_of_huge_logits_stays_finite():
  train = base.get_config().train
  train.loss, train.pos_weight = 'bce', 3.0
  loss = make_label_loss(train, ('a', 'b'))(jnp.array([[1e4, -1e4]] * 2), jnp.array([1, 0]))
  np.testing.assert_allclose(loss, [6e4, 0.0])
