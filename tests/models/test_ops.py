"""The mended operations against the plain lax ones: values and both gradients."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.models import kernel_gradients, ops, pooling

# height, width, window, stride, padding, channels in, channels out
CONVOLUTIONS = [
  (1, 1, 3, 1, 1, 4, 5),
  (2, 2, 3, 1, 1, 4, 5),
  (4, 4, 3, 2, 1, 4, 5),
  (5, 4, 3, 2, 1, 4, 5),
  (7, 6, 1, 1, 0, 4, 5),
  (9, 8, 1, 2, 0, 5, 4),
  (3, 3, 7, 2, 3, 3, 4),
  (11, 9, 3, 3, 0, 3, 4),
  (8, 9, 3, 1, 1, 16, 4),
  (9, 11, 3, 2, 1, 16, 4),
  (6, 6, 3, 4, 0, 3, 4),
  (4, 4, 3, 2, 2, 3, 4),
]


def _pair(shape_x, shape_k, dtype=jnp.float32):
  rng = np.random.default_rng(0)
  return rng.normal(size=shape_x).astype(dtype), rng.normal(size=shape_k).astype(dtype)


def _value_and_gradients(function, x, kernel):
  def loss(x, kernel):
    y = function(x, kernel)
    return jnp.sum(jnp.sin(y.astype(jnp.float32))), y

  gradients, y = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)
  return (y, *gradients)


def _conv_results(case, dtype=jnp.float32, ours=True):
  height, width, window, stride, pad, channels, features = case
  x, kernel = _pair((3, height, width, channels), (window, window, channels, features), dtype)
  arguments = ((stride, stride), ((pad, pad), (pad, pad)))
  plain = _value_and_gradients(lambda x, k: ops.lax_conv(x, k, *arguments), x, kernel)
  if not ours:
    return plain
  return _value_and_gradients(lambda x, k: ops.conv(x, k, *arguments), x, kernel), plain


@pytest.mark.parametrize('case', CONVOLUTIONS, ids=str)
def test_conv_and_its_gradients_equal_lax(case):
  ours, plain = _conv_results(case)
  for a, b in zip(ours, plain, strict=True):
    assert a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize('case', [CONVOLUTIONS[i] for i in (1, 2)], ids=str)
def test_conv_in_bfloat16_is_as_near_to_float32_as_lax(case):
  ours, plain = _conv_results(case, jnp.bfloat16)
  exact = _conv_results(case, jnp.float32, ours=False)
  for a, b, c in zip(ours, plain, exact, strict=True):
    assert a.dtype == jnp.bfloat16
    a, b, c = (np.asarray(array, np.float32) for array in (a, b, c))
    assert np.abs(a - c).max() <= np.abs(b - c).max() + 0.02 * np.abs(c).max()


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
  monkeypatch.setattr(kernel_gradients, '_PATCHES_MAX_ELEMENTS', 7000)
  for a, b in zip(_conv_results(case)[0], whole, strict=True):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize('channels', [(4, 6), (6, 4)])
@pytest.mark.parametrize('stride', [1, 2])
def test_pointwise_kernel_gradient_in_pieces_equals_lax(monkeypatch, channels, stride):
  monkeypatch.setattr(kernel_gradients, '_POINTWISE_MAX_ELEMENTS', 200)
  ours, plain = _conv_results((11, 8, 1, stride, 0, *channels))
  for a, b in zip(ours, plain, strict=True):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_narrowing_kernel_gradient_mirrors_the_taps():
  x, kernel = _pair((2, 9, 7, 20), (3, 2, 20, 4))
  arguments = ((1, 1), ((0, 2), (1, 0)))
  ours = _value_and_gradients(lambda x, k: ops.conv(x, k, *arguments), x, kernel)
  plain = _value_and_gradients(lambda x, k: ops.lax_conv(x, k, *arguments), x, kernel)
  for a, b in zip(ours, plain, strict=True):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize('rows', [1, 6, 7])
def test_materialised_gradient_is_the_identity(rows):
  x = jnp.asarray(np.random.default_rng(0).normal(size=(2, rows, 3, 4)), jnp.float32)
  y, vjp = jax.vjp(jax.jit(ops.materialised_gradient), x)
  np.testing.assert_array_equal(y, x)
  np.testing.assert_array_equal(vjp(x + 1)[0], x + 1)


@pytest.mark.parametrize('size', [(6, 8), (7, 5)])
def test_halve_is_average_pooling(size):
  x = jnp.asarray(np.random.default_rng(0).normal(size=(2, *size, 3)), jnp.float32)
  expected = nn.avg_pool(x, (2, 2), (2, 2))
  np.testing.assert_allclose(pooling.halve(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
  ('case', 'dtype'),
  [
    ((7, 9, 2, 2, 0), jnp.float32),
    ((8, 8, 2, 2, 0), jnp.bfloat16),
    ((8, 8, 3, 2, 1), jnp.float32),
    ((9, 7, 3, 2, 1), jnp.bfloat16),
    ((7, 8, 3, 3, 0), jnp.float32),
    ((6, 6, 3, 1, 1), jnp.float32),
  ],
  ids=str,
)
def test_max_pool_and_its_gradient_equal_lax_ties_included(case, dtype):
  height, width, window, stride, pad = case
  x = np.maximum(np.random.default_rng(0).normal(size=(3, height, width, 5)), 0).astype(dtype)
  results = []
  for function in (pooling.max_pool, pooling.lax_max_pool):

    def loss(x, function=function):
      y = function(x, window, stride, pad)
      return jnp.sum(jnp.sin(y.astype(jnp.float32) + 1)), y

    results.append(jax.jit(jax.grad(loss, has_aux=True))(x))
  atol = 1e-6 if dtype == jnp.float32 else 2e-2
  for a, b in zip(results[0], results[1], strict=True):
    assert a.dtype == b.dtype
    np.testing.assert_allclose(np.asarray(a, np.float32), np.asarray(b, np.float32), atol=atol)


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
