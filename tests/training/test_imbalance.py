"""Losses and weights of unequal classes against NumPy in float64, scikit-learn and closed forms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.utils.class_weight import compute_class_weight

from configs import base
from data_builders.errors import UserError
from lesionjax.models.parts import Head
from lesionjax.training import imbalance
from lesionjax.training.classify import make_task
from lesionjax.training.label_loss import make_label_loss
from lesionjax.training.supervised import Settings

COUNTS = np.array([625, 16, 81, 1])
NAMES = ('nv', 'df', 'mel', 'vasc')
LABELS = np.repeat(np.arange(4), COUNTS)


def settings(**values):
  train = base.get_config().train
  for key, value in values.items():
    train[key] = value
  return train


def make(**values):
  return make_label_loss(settings(**values), NAMES, tuple(COUNTS.tolist()))


@pytest.fixture
def scores():
  rng = np.random.default_rng(0)
  return rng.normal(size=(40, 4)) * 5, rng.integers(0, 4, 40)


def log_softmax(z):
  z = z - z.max(-1, keepdims=True)
  return z - np.log(np.exp(z).sum(-1, keepdims=True))


def own(values, labels):
  return values[np.arange(len(labels)), labels]


def check(loss, expected, scores):
  logits, labels = scores
  found = loss(jnp.asarray(logits, jnp.float32), jnp.asarray(labels))
  assert (found.shape, found.dtype) == ((40,), jnp.float32)
  np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
def test_focal_loss(gamma, scores):
  log_p = own(log_softmax(scores[0]), scores[1])
  expected = -((1 - np.exp(log_p)) ** gamma) * log_p
  check(make(loss='focal', focal_gamma=gamma), expected, scores)


def test_focal_loss_by_hand():
  # softmax of (0, ln 3) is (1/4, 3/4)
  loss = make(loss='focal')(jnp.array([[0.0, jnp.log(3.0), -1e9, -1e9]] * 2), jnp.array([0, 1]))
  np.testing.assert_allclose(loss, [9 / 16 * np.log(4), np.log(4 / 3) / 16], rtol=1e-6)


@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
def test_focal_loss_of_certain_images_has_a_gradient(gamma):
  logits, loss = jnp.array([[1e4, 0.0, 0.0, 0.0]] * 2), make(loss='focal', focal_gamma=gamma)
  gradient = jax.grad(lambda z: loss(z, jnp.array([0, 1])).sum())(logits)
  np.testing.assert_allclose(gradient[0], 0.0)
  np.testing.assert_allclose(gradient[1], [1, -1, 0, 0], atol=1e-6)


@pytest.mark.parametrize('tau', [0.0, 0.7, 1.0])
def test_logit_adjustment_is_the_balanced_softmax(tau, scores):
  logits, labels = scores
  # As Ren writes it: n_y^tau e^z_y / sum_i n_i^tau e^z_i
  odds = COUNTS.astype(np.float64) ** tau * np.exp(logits)
  expected = -np.log(own(odds / odds.sum(-1, keepdims=True), labels))
  check(make(loss='logit_adjusted', logit_adjustment=tau), expected, scores)


def test_logit_adjustment_learns_what_balanced_classes_would_say():
  # One feature that says nothing: the best constant logits are equal, those of cross-entropy not.
  def best(loss):
    logits = jnp.zeros(4)
    gradient = jax.jit(jax.grad(lambda z: loss(jnp.tile(z, (len(LABELS), 1)), LABELS).mean()))
    for _ in range(300):
      logits -= 2.0 * gradient(logits)
    return jax.nn.softmax(logits)

  np.testing.assert_allclose(best(make(loss='logit_adjusted')), 0.25, atol=1e-3)
  np.testing.assert_allclose(best(make()), COUNTS / COUNTS.sum(), atol=1e-2)
  np.testing.assert_allclose(best(make(class_weights='balanced')), 0.25, atol=1e-3)


def test_margins_of_ldam():
  # 625, 16, 81 and 1 to the power -1/4: 1/5, 1/2, 1/3, 1
  margins = imbalance.ldam_margins(COUNTS, 0.5, 30.0)
  np.testing.assert_allclose(margins, [3, 7.5, 5, 15], rtol=1e-6)


def test_ldam_is_the_published_loss_of_cosines(scores):
  logits, labels = scores
  cosines = logits / np.abs(logits).max()
  shifted = cosines - 0.4 * np.eye(4)[labels] * (COUNTS[labels, None] ** -0.25)
  expected = -own(log_softmax(30.0 * shifted), labels)
  loss = make(loss='ldam', ldam_margin=0.4)
  check(loss, expected, (30.0 * cosines, labels))


def test_balanced_weights_are_scikit_learn_s():
  expected = compute_class_weight('balanced', classes=np.arange(4), y=LABELS)
  found = imbalance.class_weights('balanced', COUNTS)
  np.testing.assert_allclose(found, expected, rtol=1e-6)
  assert np.mean(found[LABELS]) == pytest.approx(1.0)


@pytest.mark.parametrize('beta', [0.0, 0.9, 0.999, 0.9999999])
def test_effective_numbers_are_a_geometric_series(beta):
  number = np.array([sum(beta**i for i in range(n)) for n in COUNTS.tolist()])
  expected = 1 / number * 4 / (1 / number).sum()
  found = imbalance.class_weights('effective', COUNTS, beta)
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  assert found.mean() == pytest.approx(1.0)


@pytest.mark.parametrize('name', ['cross_entropy', 'focal', 'ldam'])
def test_a_weight_multiplies_the_loss_of_its_class(name, scores):
  logits, labels = jnp.asarray(scores[0], jnp.float32), jnp.asarray(scores[1])
  plain = make(loss=name)(logits, labels)
  weighted = make(loss=name, class_weights='balanced')(logits, labels)
  expected = compute_class_weight('balanced', classes=np.arange(4), y=LABELS)[scores[1]]
  np.testing.assert_allclose(weighted, plain * expected, rtol=1e-5)


@pytest.mark.parametrize(
  'values',
  [
    {'class_weights': 'effective'},
    {'loss': 'ldam', 'class_weights': 'balanced'},
    {'loss': 'logit_adjusted'},
  ],
)
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(values):
  model = Head(4)
  rng = np.random.default_rng(0)
  batch = {
    'image': jnp.asarray(rng.normal(size=(8, 5)), jnp.float32),
    'label': jnp.asarray([0, 0, 0, 0, 1, 2, 2, 3]),
  }

  def after(accumulate):
    tx = Settings(optax.sgd(0.5), lambda step: 0.5, accumulate=accumulate)
    task = make_task(model, 4, tx, lambda image, key: image, make(**values))
    state = task.init(jax.random.key(0), batch)
    state, metrics = jax.jit(task.train_step)(state, batch, jax.random.key(1))
    return state.params['head']['kernel'], metrics['loss']

  (whole, loss), (parts, loss_of_parts) = after(1), after(4)
  np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
  assert loss_of_parts == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize(
  ('values', 'needs'),
  [
    ({'loss': 'ldam'}, "loss='ldam'"),
    ({'loss': 'logit_adjusted'}, "loss='logit_adjusted'"),
    ({'class_weights': 'balanced'}, "class_weights='balanced'"),
    ({'class_weights': 'effective'}, "class_weights='effective'"),
  ],
)
def test_a_class_without_images_is_named(values, needs):
  with pytest.raises(UserError, match=rf'{needs} needs .* none of df, vasc: choose') as caught:
    make_label_loss(settings(**values), NAMES, (5, 0, 3, 0))
  assert str(caught.value).count('. ') == 0
  make_label_loss(settings(loss='focal'), NAMES, (5, 0, 3, 0))  # which does not count
