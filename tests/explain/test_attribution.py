"""Integrated gradients and occlusion against their definitions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.explain import attribution

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(6 * 8 * 3, 4)).astype(np.float32)
IMAGE = RNG.normal(size=(3, 6, 8, 3)).astype(np.float32)
CLASSES = np.array([3, 0, 2])


def _linear(weights, image):
  return image.reshape(len(image), -1) @ weights


def _bent(weights, image):
  """Smooth, and not linear."""
  hidden = jnp.tanh(_linear(weights, image))
  return jnp.cumsum(hidden, -1) * hidden[:, :1]


def _of_class(logits):
  return np.asarray(logits)[np.arange(len(CLASSES)), CLASSES]


@pytest.mark.parametrize('baseline', attribution.BASELINES)
def test_integrated_gradients_are_complete(baseline):
  black = np.array([-1.0, -2.0, -3.0], np.float32)
  function = attribution.make_integrated_gradients(_bent, 256, baseline, black)
  found = np.asarray(jax.jit(function)(KERNEL / 4, IMAGE, CLASSES))
  start = attribution.baseline_of(jnp.asarray(IMAGE), baseline, black)
  expected = _of_class(_bent(KERNEL / 4, IMAGE)) - _of_class(_bent(KERNEL / 4, start))
  assert np.abs(expected).max() > 0.1
  np.testing.assert_allclose(found.sum((1, 2)), expected, atol=2e-3)


def test_integrated_gradients_of_a_linear_score_need_one_step():
  found = attribution.make_integrated_gradients(_linear, 1, 'mean')(KERNEL, IMAGE, CLASSES)
  expected = (KERNEL[:, CLASSES].T.reshape(3, 6, 8, 3) * IMAGE).sum(-1)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_baselines():
  flat = jnp.full((1, 16, 12, 3), 0.7)
  np.testing.assert_allclose(attribution.baseline_of(flat, 'blurred'), flat, rtol=1e-5)
  step = jnp.concatenate((jnp.zeros((1, 16, 6, 3)), jnp.ones((1, 16, 6, 3))), 2)
  blurred = np.asarray(attribution.baseline_of(step, 'blurred'))
  assert (np.diff(blurred[0, 0, :, 0]) > 0).all()
  assert blurred.mean() == pytest.approx(0.5, abs=1e-3)
  assert not np.asarray(attribution.baseline_of(flat, 'mean')).any()
  black = np.array([-1, -2, -3], np.float32)
  np.testing.assert_array_equal(attribution.baseline_of(flat, 'black', black)[0, 5, 7], black)


@pytest.mark.parametrize(('patch', 'stride'), [(3, 2), (2, 2), (1, 1), (4, 3)])
def test_occlusion_equals_covering_by_hand(patch, stride):
  found = attribution.make_occlusion(_bent, patch, stride)(KERNEL / 4, IMAGE, CLASSES)
  falls, times = np.zeros((3, 6, 8)), np.zeros((6, 8))
  whole = _of_class(_bent(KERNEL / 4, IMAGE))
  rows, columns = (
    sorted({*range(0, side - patch, stride), side - patch}) for side in IMAGE.shape[1:3]
  )
  for row in rows:
    for column in columns:
      covered = IMAGE.copy()
      covered[:, row : row + patch, column : column + patch] = 0
      fall = whole - _of_class(_bent(KERNEL / 4, covered))
      falls[:, row : row + patch, column : column + patch] += fall[:, None, None]
      times[row : row + patch, column : column + patch] += 1
  assert times.min() >= 1
  np.testing.assert_allclose(found, falls / times, rtol=1e-3, atol=1e-4)


def test_what_cannot_be_measured_is_refused():
  with pytest.raises(UserError, match='blurred'):
    attribution.check_integrated_gradients(8, 'blured')
  with pytest.raises(UserError, match='at least 1'):
    attribution.check_integrated_gradients(0, 'black')
  with pytest.raises(UserError, match='patch_px=9 must be from 1 to 8'):
    attribution.check_occlusion((8, 12), 9, 1)
  with pytest.raises(UserError, match='no gaps'):
    attribution.check_occlusion((8, 12), 4, 5)
