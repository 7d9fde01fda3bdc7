"""The depthwise convolution against the plain lax one: values and both gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.models.depthwise import depthwise_conv, lax_depthwise

# height, width, kernel, stride, pads
CASES = [
  (8, 8, (3, 3), 1, ((1, 1), (1, 1))),
  (7, 9, (5, 5), 1, ((2, 2), (2, 2))),
  (8, 8, (3, 3), 2, ((0, 1), (0, 1))),
  (9, 7, (3, 3), 2, ((1, 1), (1, 1))),
  (16, 14, (5, 5), 2, ((1, 2), (1, 2))),
  (11, 13, (5, 5), 2, ((2, 2), (2, 2))),
  (2, 2, (5, 5), 1, ((2, 2), (2, 2))),
  (1, 1, (3, 3), 2, ((1, 1), (1, 1))),
  (2, 3, (5, 5), 2, ((1, 2), (2, 2))),
  (10, 9, (3, 5), 3, ((0, 0), (3, 1))),
  (8, 8, (2, 2), 3, ((0, 0), (0, 0))),
]


def _value_and_gradients(function, case, dtype):
  height, width, kernel_size, stride, pads = case
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(size=(3, height, width, 6)), dtype)
  kernel = jnp.asarray(rng.normal(size=(*kernel_size, 1, 6)), dtype)

  def loss(x, kernel):
    y = function(x, kernel, stride, pads)
    return jnp.sum(jnp.sin(y.astype(jnp.float32))), y

  gradients, y = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)
  return (y, *gradients)


@pytest.mark.parametrize('case', CASES, ids=str)
def test_values_and_gradients_equal_lax(case):
  ours = _value_and_gradients(depthwise_conv, case, jnp.float32)
  plain = _value_and_gradients(lax_depthwise, case, jnp.float32)
  for a, b in zip(ours, plain, strict=True):
    assert a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize('case', [CASES[1], CASES[4]], ids=str)
def test_in_bfloat16_it_is_as_near_to_float32_as_lax(case):
  ours = _value_and_gradients(depthwise_conv, case, jnp.bfloat16)
  plain = _value_and_gradients(lax_depthwise, case, jnp.bfloat16)
  exact = _value_and_gradients(lax_depthwise, case, jnp.float32)
  for a, b, c in zip(ours, plain, exact, strict=True):
    assert a.dtype == jnp.bfloat16
    a, b, c = (np.asarray(array, np.float32) for array in (a, b, c))
    assert np.abs(a - c).max() <= np.abs(b - c).max() + 0.02 * np.abs(c).max()


def test_other_backends_keep_the_plain_operation():
  pads = ((1, 1), (1, 1))
  gradient = jax.jit(jax.grad(lambda x, k: jnp.sum(depthwise_conv(x, k, 1, pads)), (0, 1)))
  x, kernel = jnp.ones((2, 4, 4, 3)), jnp.ones((3, 3, 1, 3))
  text = gradient.trace(x, kernel).lower(lowering_platforms=('cuda',)).as_text()
  assert 'stablehlo.convolution' in text
  assert 'dot_general' not in text
  text = gradient.trace(x, kernel).lower(lowering_platforms=('cpu',)).as_text()
  assert 'stablehlo.convolution' not in text
