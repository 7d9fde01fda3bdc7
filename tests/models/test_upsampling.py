"""The up-convolution against the plain transposed convolution: values and both gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.models.upsampling import lax_up_conv, up_conv


def _results(function, dtype, case=(3, 5, 4, 6, 2)):
  batch, height, width, channels, features = case
  rng = np.random.default_rng(0)
  x = rng.normal(size=(batch, height, width, channels)).astype(dtype)
  kernel = rng.normal(size=(2, 2, channels, features)).astype(dtype)

  def loss(x, kernel):
    y = function(x, kernel)
    return jnp.sum(jnp.sin(y.astype(jnp.float32))), y

  gradients, y = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)
  return (y, *gradients)


@pytest.mark.parametrize('case', [(3, 5, 4, 6, 2), (1, 1, 1, 3, 5), (2, 16, 2, 4, 4)], ids=str)
def test_values_and_gradients_equal_lax(case):
  ours, plain = _results(up_conv, jnp.float32, case), _results(lax_up_conv, jnp.float32, case)
  for a, b in zip(ours, plain, strict=True):
    assert a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_every_pixel_becomes_a_square_by_its_own_kernel():
  x = np.zeros((1, 2, 2, 1), np.float32)
  x[0, 1, 0, 0] = 1
  kernel = np.arange(1, 5, dtype=np.float32).reshape(2, 2, 1, 1)
  expected = np.zeros((4, 4))
  expected[2:, :2] = [[1, 2], [3, 4]]
  np.testing.assert_array_equal(up_conv(x, kernel)[0, :, :, 0], expected)


def test_bfloat16_is_as_near_to_float32_as_lax():
  ours, plain, exact = (
    _results(function, dtype)
    for function, dtype in (
      (up_conv, jnp.bfloat16),
      (lax_up_conv, jnp.bfloat16),
      (lax_up_conv, jnp.float32),
    )
  )
  for a, b, c in zip(ours, plain, exact, strict=True):
    assert a.dtype == jnp.bfloat16
    a, b, c = (np.asarray(array, np.float32) for array in (a, b, c))
    assert np.abs(a - c).max() <= np.abs(b - c).max() + 0.02 * np.abs(c).max()


def test_other_backends_keep_the_transposed_convolution():
  x, kernel = jnp.zeros((2, 4, 4, 3)), jnp.zeros((2, 2, 3, 4))
  gradient = jax.jit(jax.grad(lambda x, k: jnp.sum(up_conv(x, k)), (0, 1)))
  for platform, present in (('cuda', True), ('cpu', False)):
    text = gradient.trace(x, kernel).lower(lowering_platforms=(platform,)).as_text()
    assert ('stablehlo.convolution' in text) is present
    assert ('dot_general' in text) is not present
