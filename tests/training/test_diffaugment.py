"""Differentiable augmentation: identity at zero, what each step may do, gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.training.diffaugment import NAMES, diff_augment


@pytest.fixture
def image():
  rng = np.random.default_rng(0)
  return jnp.asarray(rng.uniform(0.1, 1, (32, 16, 24, 3)), jnp.float32)


@pytest.mark.parametrize('name', NAMES)
def test_no_strength_is_the_identity(name, image):
  np.testing.assert_array_equal(diff_augment(image, jax.random.key(0), (name,), 0.0), image)
  # Nearly none goes through the arithmetic: rounding of colours, no pixel moved or cut.
  nearly = diff_augment(image, jax.random.key(0), (name,), 1e-6)
  np.testing.assert_allclose(nearly, image, atol=1e-5)
  np.testing.assert_array_equal(diff_augment(image, jax.random.key(0), ()), image)


def test_translation_moves_whole_pixels_by_at_most_an_eighth(image):
  moved = np.asarray(diff_augment(image, jax.random.key(1), ('translation',)))
  found = set()
  for before, after in zip(np.asarray(image), moved, strict=True):
    padded = np.pad(before, ((2, 2), (3, 3), (0, 0)))
    at = [
      (i, j) for i in range(5) for j in range(7)
      if np.array_equal(padded[i : i + 16, j : j + 24], after)
    ]  # fmt: skip
    assert len(at) == 1
    found.add(at[0])
  assert len(found) > 10
  assert {i for i, _ in found} == set(range(5))


def test_cutout_greys_a_square_of_half_the_side(image):
  cut = np.asarray(diff_augment(image, jax.random.key(2), ('cutout',)))
  for before, after in zip(np.asarray(image), cut, strict=True):
    hole = (after == 0).all(-1)
    np.testing.assert_array_equal(after[~hole], before[~hole])
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    assert hole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert 4 <= len(rows) <= 8
    assert 6 <= len(columns) <= 12
  assert any((after == 0).all(-1).sum() == 8 * 12 for after in cut)


def test_colour_is_three_affine_maps_by_hand(image):
  key = jax.random.key(3)
  draws = np.asarray(jax.random.uniform(jax.random.fold_in(key, 0), (3, 32, 1, 1, 1), minval=-1))
  bright, rich, contrast = np.float64(draws)
  x = np.asarray(image, np.float64) + 0.5 * bright
  grey = x.mean(-1, keepdims=True)
  x = grey + (x - grey) * (1 + rich)
  mean = x.mean((1, 2, 3), keepdims=True)
  expected = mean + (x - mean) * (1 + 0.5 * contrast)
  np.testing.assert_allclose(diff_augment(image, key, ('colour',)), expected, atol=1e-5)


def test_images_are_changed_apart_and_gradients_pass(image):
  found = diff_augment(jnp.broadcast_to(image[:1], image.shape), jax.random.key(4))
  assert len(np.unique(np.asarray(found).reshape(32, -1), axis=0)) == 32
  gradient = jax.grad(lambda x: (diff_augment(x, jax.random.key(4)) ** 2).sum())(image)
  assert (jnp.abs(gradient).sum((1, 2, 3)) > 0).all()
