"""Convolution and pooling as the models use them.

Everything a model does to a feature map goes through this file, so that one place decides which
form of an operation a backend gets.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

Pads = tuple[tuple[int, int], tuple[int, int]]


def conv(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads) -> jax.Array:
  """Convolution of [B,H,W,C] with [kh,kw,C,D]; explicit zero padding."""
  return lax.conv_general_dilated(
    x, kernel, strides, pads, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def max_pool(x: jax.Array, window: int, stride: int, pad: int = 0) -> jax.Array:
  """Maximum over square windows of [B,H,W,C]; the padding never wins."""
  return lax.reduce_window(
    x,
    -jnp.inf,
    lax.max,
    (1, window, window, 1),
    (1, stride, stride, 1),
    ((0, 0), (pad, pad), (pad, pad), (0, 0)),
  )
