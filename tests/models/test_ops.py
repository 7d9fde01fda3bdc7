"""The mended operations against the plain lax ones: values and both gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.models import ops, pooling

# height, width, window, stride, padding, channels in, channels out
CONVOLUTIONS = [
  (1, 1, 3, 1, 1, 4, 5),
  (2, 2, 3, 1, 1, 4, 5),
  (2, 3, 3, 1, 1, 4, 5),
  (4, 4, 3, 2, 1, 4, 5),
  (5, 4, 3, 2, 1, 4, 5),
  (4, 4, 1, 2, 0, 4, 5),
  (7, 6, 1, 1, 0, 4, 5),
  (7, 5, 1, 2, 0, 4, 5),
  (3, 3, 7, 2, 3, 3, 4),
  (9, 10, 7, 2, 3, 3, 4),
  (8, 9, 3, 1, 1, 3, 4),
  (9, 11, 3, 2, 1, 3, 4),
  (11, 9, 3, 3, 0, 3, 4),
  (10, 10, 3, 1, 1, 80, 4),
  (8, 9, 3, 1, 1, 16, 4),
  (9, 11, 3, 2, 1, 16, 4),
  (6, 6, 3, 4, 0, 3, 4),
  (4, 4, 3, 2, 2, 3, 4),
]


def _pair(shape_x, shape_k, dtype=jnp.float32):
  a, b = jax.random.split(jax.random.key(0))
  return jax.random.normal(a, shape_x, dtype), jax.random.normal(b, shape_k, dtype)


def _value_and_gradients(function, x, kernel):
  def loss(x, kernel):
    y = function(x, kernel)
    return jnp.sum(jnp.sin(y.astype(jnp.float32))), y

  gradients, y = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)
  return (y, *gradients)


def _conv_results(case, dtype=jnp.float32):
  height, width, window, stride, pad, channels, features = case
  x, kernel = _pair((3, height, width, channels), (window, window, channels, features), dtype)
  arguments = ((stride, stride), ((pad, pad), (pad, pad)))
  return (
    _value_and_gradients(lambda x, k: ops.conv(x, k, *arguments), x, kernel),
    _value_and_gradients(lambda x, k: ops.lax_conv(x, k, *arguments), x, kernel),
  )


@pytest.mark.parametrize('case', CONVOLUTIONS, ids=str)
def test_conv_and_its_gradients_equal_lax(case):
  ours, plain = _conv_results(case)
  for a, b in zip(ours, plain, strict=True):
    assert a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize('case', [CONVOLUTIONS[i] for i in (1, 3, 9)], ids=str)
def test_conv_in_bfloat16_is_as_near_to_float32_as_lax(case):
  ours, plain = _conv_results(case, jnp.bfloat16)
  exact = _conv_results(case)[1]
  for a, b, c in zip(ours, plain, exact, strict=True):
    assert a.dtype == jnp.bfloat16
    scale = float(jnp.abs(c).max())
    error = float(jnp.abs(a.astype(jnp.float32) - c).max()) / scale
    assert error <= float(jnp.abs(b.astype(jnp.float32) - c).max()) / scale + 0.02


def test_conv_pads_each_side_by_itself():
  x, kernel = _pair((2, 5, 6, 3), (3, 2, 3, 4))
  arguments = ((2, 1), ((0, 1), (2, 0)))
  for limit in (16, 0):
    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(ops, '_TAPS_MAX_PIXELS', limit * 10)
      ours = _value_and_gradients(lambda x, k: ops.conv(x, k, *arguments), x, kernel)
    plain = _value_and_gradients(lambda x, k: ops.lax_conv(x, k, *arguments), x, kernel)
    for a, b in zip(ours, plain, strict=True):
      np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_kernel_gradient_in_pieces_equals_the_whole(monkeypatch):
  case = (18, 11, 3, 2, 1, 16, 4)
  whole = _conv_results(case)[0]
  monkeypatch.setattr(ops, '_PATCHES_MAX_ELEMENTS', 7000)
  for a, b in zip(_conv_results(case)[0], whole, strict=True):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
  'case',
  [
    (8, 8, 2, 2, 0),
    (7, 9, 2, 2, 0),
    (8, 8, 3, 2, 1),
    (9, 7, 3, 2, 1),
    (7, 8, 3, 3, 0),
    (6, 6, 3, 1, 1),
  ],
  ids=str,
)
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_max_pool_and_its_gradient_equal_lax_ties_included(case, dtype):
  height, width, window, stride, pad = case
  x = jax.nn.relu(jax.random.normal(jax.random.key(0), (3, height, width, 5), dtype))
  results = []
  for function in (pooling.max_pool, pooling.lax_max_pool):

    def loss(x, function=function):
      y = function(x, window, stride, pad)
      return jnp.sum(jnp.sin(y.astype(jnp.float32) + 1)), y

    results.append(jax.jit(jax.grad(loss, has_aux=True))(x))
  for a, b in zip(*results, strict=True):
    assert a.dtype == b.dtype
    np.testing.assert_allclose(
      a.astype(jnp.float32), b.astype(jnp.float32), atol=1e-6 if dtype == jnp.float32 else 2e-2
    )


def test_other_backends_keep_the_plain_operations():
  def step(x, kernel):
    y = ops.conv(x, kernel, (1, 1), ((1, 1), (1, 1)))
    return jnp.sum(pooling.max_pool(y, 2, 2))

  x, kernel = _pair((2, 4, 4, 3), (3, 3, 3, 4))
  gradient = jax.jit(jax.grad(step, (0, 1)))
  text = gradient.trace(x, kernel).lower(lowering_platforms=('cuda',)).as_text()
  assert 'stablehlo.convolution' in text
  assert 'select_and_scatter' in text
  assert 'dot_general' not in text
  text = gradient.trace(x, kernel).lower(lowering_platforms=('cpu',)).as_text()
  assert 'stablehlo.convolution' not in text
  assert 'select_and_scatter' not in text
