"""Convolutions of few channels, two columns at a time, against lax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.models import narrow, ops

# height, width, kernel height and width, channels in and out, zeros above, below, left, right
CASES = [
  (6, 8, 3, 3, 3, 16, ((1, 1), (1, 1))),
  (5, 6, 3, 3, 16, 16, ((1, 1), (1, 1))),
  (7, 9, 3, 5, 2, 3, ((0, 1), (2, 1))),
  (6, 8, 1, 3, 4, 4, ((0, 0), (0, 2))),
]


def _pair(case):
  rng = np.random.default_rng(0)
  height, width, kh, kw, channels, features, _ = case
  x = rng.normal(size=(2, height, width, channels)).astype(np.float32)
  return x, rng.normal(size=(kh, kw, channels, features)).astype(np.float32)


@pytest.mark.parametrize('case', CASES, ids=str)
def test_equals_lax_in_value_and_input_gradient(case):
  x, kernel = _pair(case)
  pads = case[-1]
  assert narrow.foldable(x.shape, kernel.shape, (1, 1), pads)
  plain, vjp = jax.vjp(lambda x: ops.lax_conv(x, kernel, (1, 1), pads), x)
  np.testing.assert_allclose(narrow.conv(x, kernel, pads), plain, rtol=2e-5, atol=2e-5)
  if x.shape[2] % 2 == 0:
    ours = narrow.input_gradient(jnp.asarray(kernel), jnp.cos(plain), pads)
    np.testing.assert_allclose(ours, vjp(jnp.cos(plain))[0], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
  ('width', 'kernel', 'strides', 'pads'),
  [(7, 3, (1, 1), 1), (8, 2, (1, 1), 1), (8, 3, (2, 2), 1), (8, 3, (1, 2), 1), (2, 3, (1, 1), 0)],
)
def test_knows_what_it_cannot_do(width, kernel, strides, pads):
  shapes = (2, 8, width, 3), (kernel, kernel, 3, 4)
  assert not narrow.foldable(*shapes, strides, ((pads, pads), (pads, pads)))


@pytest.mark.parametrize('channels', [(3, 16), (16, 16), (3, 64)])
def test_few_channels_are_convolved_so_on_a_cpu_alone(channels):
  x, kernel = jnp.zeros((2, 8, 8, channels[0])), jnp.zeros((3, 3, *channels))
  conv = jax.jit(lambda x, k: ops.conv(x, k, (1, 1), ((1, 1), (1, 1))))
  for platform in ('cpu', 'cuda'):
    text = conv.trace(x, kernel).lower(lowering_platforms=(platform,)).as_text()
    folded = f'tensor<3x2x{2 * channels[0]}x{2 * channels[1]}xf32>' in text
    assert folded == (platform == 'cpu' and channels != (3, 64))
