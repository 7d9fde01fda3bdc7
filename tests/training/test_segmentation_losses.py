"""Losses of masks against NumPy in float64, scikit-learn and numbers by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import log_loss

from data_builders.errors import UserError
from lesionjax.training.segmentation_losses import LOSSES, make_segmentation_loss

NAMES = list(LOSSES)


def batch(count=3, height=5, width=7):
  rng = np.random.default_rng(0)
  logits = rng.normal(size=(count, height, width, 1)) * 3
  return logits.astype(np.float32), rng.integers(0, 2, (count, height, width)).astype(np.uint8)


def in_float64(name, logits, mask, smooth=1.0):
  """The textbook forms, 1 - overlap."""
  z, y = logits[..., 0].astype(np.float64), mask.astype(np.float64)
  p = 1 / (1 + np.exp(-z))
  axes = (1, 2)
  both, p_sum, y_sum = (p * y).sum(axes), p.sum(axes), y.sum(axes)
  ce = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axes)
  overlap = 1 - (2 * both + smooth) / (p_sum + y_sum + smooth)
  tversky = (both + smooth) / (both + 0.7 * (y_sum - both) + 0.3 * (p_sum - both) + smooth)
  return {
    'bce': ce,
    'dice': overlap,
    'bce_dice': ce + overlap,
    'jaccard': 1 - (both + smooth) / (p_sum + y_sum - both + smooth),
    'focal_tversky': (1 - tversky) ** 0.75,
  }[name]


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('dtype', [np.uint8, np.float32, bool])
def test_equals_the_formula_in_float64(name, dtype):
  logits, mask = batch()
  got = make_segmentation_loss(name)(jnp.asarray(logits), jnp.asarray(mask.astype(dtype)))
  assert got.dtype == jnp.float32
  np.testing.assert_allclose(got, in_float64(name, logits, mask), rtol=1e-5)


def test_cross_entropy_equals_scikit_learn():
  logits, mask = batch()
  loss = make_segmentation_loss('bce', pos_weight=2.5)(jnp.asarray(logits), jnp.asarray(mask))
  for row in range(3):
    truth, p = mask[row].ravel(), 1 / (1 + np.exp(-logits[row].ravel().astype(np.float64)))
    weight = np.where(truth == 1, 2.5, 1.0)
    expected = log_loss(truth, p, normalize=False, sample_weight=weight) / truth.size
    assert loss[row] == pytest.approx(expected, rel=1e-5)


def test_by_hand():
  # p = 3/4, 1/4, 1/2, 1/2 on y = 1, 1, 0, 0: TP 1, FN 1, FP 1.
  logits = jnp.log(jnp.array([3.0, 1 / 3, 1.0, 1.0])).reshape(1, 2, 2, 1)
  mask = jnp.array([[[1, 1], [0, 0]]])
  value = lambda name, **settings: float(make_segmentation_loss(name, **settings)(logits, mask)[0])  # noqa: E731
  assert value('dice', smooth=2.0) == pytest.approx(2 / 6)
  assert value('jaccard', smooth=1.0) == pytest.approx(2 / 4)
  assert value('focal_tversky', alpha=0.75, gamma=2.0, smooth=2.0) == pytest.approx((1 / 4) ** 2)
  ce = (np.log(4 / 3) + np.log(4) + 2 * np.log(2)) / 4
  assert value('bce') == pytest.approx(ce)
  assert value('bce_dice', dice_weight=3.0, smooth=2.0) == pytest.approx(ce + 1)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('size', [30.0, 1e4])
def test_extreme_logits_have_finite_losses_and_gradients(name, size):
  rng = np.random.default_rng(1)
  signs = rng.choice([-size, size], (4, 6, 6, 1)).astype(np.float32)
  mask = rng.integers(0, 2, (4, 6, 6))
  signs[2] = np.where(mask[2], size, -size)[..., None]  # all right
  signs[3] = -signs[2]
  mask[3] = mask[2]  # all wrong
  loss = make_segmentation_loss(name)
  value, gradient = jax.value_and_grad(lambda z: loss(z, jnp.asarray(mask)).sum())(signs)
  assert np.isfinite(value)
  assert np.isfinite(gradient).all()
  each = loss(jnp.asarray(signs), jnp.asarray(mask))
  assert each[2] < 1e-4
  assert each[3] > 0.9


@pytest.mark.parametrize('name', NAMES)
def test_an_empty_mask_asks_for_an_empty_prediction(name):
  loss = make_segmentation_loss(name)
  nothing = jnp.zeros((1, 16, 16))
  predicted = lambda level: loss(jnp.full((1, 16, 16, 1), level), nothing)[0]  # noqa: E731
  assert predicted(-30.0) < 1e-4
  assert predicted(-3.0) < predicted(0.0) < predicted(3.0)
  assert predicted(8.0) > 0.9
  gradient = jax.grad(predicted)(0.0)
  assert np.isfinite(gradient)
  assert gradient > 0


@pytest.mark.parametrize('name', NAMES)
def test_images_do_not_see_each_other(name):
  logits, mask = batch()
  loss = make_segmentation_loss(name)
  together = loss(jnp.asarray(logits), jnp.asarray(mask))
  alone = [loss(jnp.asarray(z[None]), jnp.asarray(y[None]))[0] for z, y in zip(logits, mask)]  # noqa: B905
  np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_bfloat16_logits_are_summed_in_float32():
  logits = jnp.full((1, 128, 128, 1), -2.0, jnp.bfloat16)
  mask = jnp.ones((1, 128, 128))
  expected = in_float64('dice', np.full((1, 128, 128, 1), -2.0), np.ones((1, 128, 128)))
  np.testing.assert_allclose(make_segmentation_loss('dice')(logits, mask), expected, rtol=1e-5)


@pytest.mark.parametrize(
  ('name', 'settings', 'message'),
  [
    ('dicee', {}, "'dicee' is not one of 'dice', .* Did you mean 'dice'"),
    ('dice', {'alpha': 0.5}, "'dice' has no setting 'alpha'; it takes smooth"),
    ('dice', {'smooth': 0.0}, "'smooth' .* is 0.0; it must be a number in 1e-06"),
    ('focal_tversky', {'alpha': 1.5}, r"'alpha' .* is 1.5; it must be a number in 0\.\.1"),
    ('bce', {'pos_weight': 'high'}, "'pos_weight' .* is 'high'; it must be a number"),
  ],
)
def test_mistakes_are_named(name, settings, message):
  with pytest.raises(UserError, match=message):
    make_segmentation_loss(name, **settings)


def test_shapes_that_would_broadcast_are_refused():
  with pytest.raises(ValueError, match='not'):
    make_segmentation_loss('dice')(jnp.zeros((4, 4, 4, 1)), jnp.zeros((4, 4, 4, 1)))
