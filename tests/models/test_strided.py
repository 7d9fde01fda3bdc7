"""Strided convolutions of a GAN against NumPy loops, and their two forms against each other."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.models import strided


def down_by_loops(x, kernel):
  padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  batch, height, width, _ = x.shape
  y = np.zeros((batch, height // 2, width // 2, kernel.shape[3]))
  for i in range(height // 2):
    for j in range(width // 2):
      seen = padded[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
      y[:, i, j] = np.einsum('bhwc,hwcd->bd', seen, kernel)
  return y


def up_by_loops(x, kernel):
  batch, height, width, _ = x.shape
  y = np.zeros((batch, 2 * height + 2, 2 * width + 2, kernel.shape[3]))
  for i in range(height):
    for j in range(width):
      y[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum('bc,hwcd->bhwd', x[:, i, j], kernel)
  return y[:, 1:-1, 1:-1]


@pytest.fixture
def arrays():
  rng = np.random.default_rng(0)
  return rng.normal(size=(2, 6, 10, 3)), rng.normal(size=(4, 4, 3, 5))


CASES = [(strided.down, strided.lax_down, down_by_loops), (strided.up, strided.lax_up, up_by_loops)]


@pytest.mark.parametrize(('ours', 'plain', 'loops'), CASES)
def test_both_forms_equal_loops(ours, plain, loops, arrays):
  expected = loops(*arrays)
  given = [jnp.asarray(a, jnp.float32) for a in arrays]
  for form in (ours, plain):
    np.testing.assert_allclose(jax.jit(form)(*given), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(('ours', 'plain', 'loops'), CASES)
@pytest.mark.parametrize('channels', [3, 17])
def test_gradients_equal_those_of_the_plain_form(ours, plain, loops, channels):
  rng = np.random.default_rng(1)
  x = jnp.asarray(rng.normal(size=(2, 8, 8, channels)), jnp.float32)
  kernel = jnp.asarray(rng.normal(size=(4, 4, channels, 6)), jnp.float32)
  wave = jnp.sin(jnp.arange(plain(x, kernel).size, dtype=jnp.float32))

  def first(form):
    return lambda x, k: jnp.vdot(form(x, k).reshape(-1) ** 2, wave)

  def second(form):  # the norm of a gradient, as R1 lowers it
    return lambda x, k: jnp.sum(jax.grad(first(form))(x, k) ** 2)

  for order in (first, second):
    found = jax.jit(jax.grad(order(ours), (0, 1)))(x, kernel)
    expected = jax.jit(jax.grad(order(plain), (0, 1)))(x, kernel)
    for a, b in zip(found, expected, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4 * float(jnp.abs(b).max()))


def test_down_is_the_transpose_of_up(arrays):
  x, kernel = (jnp.asarray(a, jnp.float32) for a in arrays)
  y = jnp.asarray(np.random.default_rng(2).normal(size=(2, 12, 20, 5)), jnp.float32)
  turned = kernel.transpose(0, 1, 3, 2)
  one, other = jnp.vdot(strided.up(x, kernel), y), jnp.vdot(x, strided.down(y, turned))
  np.testing.assert_allclose(one, other, rtol=1e-4)


def test_bfloat16_stays():
  x, kernel = jnp.ones((1, 4, 4, 16), jnp.bfloat16), jnp.ones((4, 4, 16, 8), jnp.bfloat16)
  assert strided.down(x, kernel).dtype == strided.up(x, kernel).dtype == jnp.bfloat16
