"""Convolutions of 4x4 px at stride 2, down and up, as a GAN has them, fast on a CPU.

Four taps of a side at stride 2 are two taps over squares of 2x2 px: seen as squares with four times
the channels, either one is a convolution of 2x2 px at stride 1, of the same arithmetic, whose
gradients `ops` computes fast. A strided convolution's gradient in its input, and all of a
transposed one, would be convolutions of a map with zeros between its pixels. Every other backend
keeps the plain lax operation, gradients included.

Like `ops.conv` they hold for reverse-mode differentiation (`jax.grad`, `jax.vjp`) only, twice where
the gradient's own norm is lowered.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from lesionjax.models import ops

_ONE: ops.Pads = ((1, 1), (1, 1))
_NONE: ops.Pads = ((0, 0), (0, 0))
_AXES = ('NHWC', 'HWIO', 'NHWC')
Convolution = Callable[[jax.Array, jax.Array], jax.Array]


def _by_platform(mended: Convolution, plain: Convolution) -> Convolution:
  """One operation, mended on a CPU and plain elsewhere, and its gradients likewise."""

  def value(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The result in the form of the platform."""
    return lax.platform_dependent(x, kernel, cpu=mended, default=plain)

  def gradients(form: Convolution):
    return lambda x, kernel, gradient: jax.vjp(form, x, kernel)[1](gradient)

  def backward(saved, gradient):
    forms = {'cpu': gradients(mended), 'default': gradients(plain)}
    return lax.platform_dependent(*saved, gradient, **forms)

  operation = jax.custom_vjp(value)
  operation.defvjp(lambda x, kernel: (value(x, kernel), (x, kernel)), backward)
  return operation


def lax_down(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """The plain operation that `down` equals."""
  return ops.lax_conv(x, kernel, (2, 2), _ONE)


def lax_up(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """The plain operation that `up` equals."""
  mirrored = kernel[::-1, ::-1]
  pads = ((2, 2), (2, 2))
  return lax.conv_general_dilated(
    x, mirrored, (1, 1), pads, lhs_dilation=(2, 2), dimension_numbers=_AXES
  )


def _down(x, kernel):
  batch, height, width, channels = x.shape
  features = kernel.shape[3]
  padded = jnp.pad(x, ((0, 0), *_ONE, (0, 0)))
  squares = padded.reshape(batch, height // 2 + 1, 2, width // 2 + 1, 2, channels)
  squares = squares.transpose(0, 1, 3, 2, 4, 5)
  squares = squares.reshape(batch, height // 2 + 1, width // 2 + 1, 4 * channels)
  taps = kernel.reshape(2, 2, 2, 2, channels, features).transpose(0, 2, 1, 3, 4, 5)
  return ops.conv(squares, taps.reshape(2, 2, 4 * channels, features), (1, 1), _NONE)


def _up(x, kernel):
  batch, height, width, channels = x.shape
  features = kernel.shape[3]
  taps = kernel[::-1, ::-1].reshape(2, 2, 2, 2, channels, features).transpose(0, 2, 4, 1, 3, 5)
  # Row i of the result holds the upper halves of square row i and the lower ones of row i - 1.
  y = ops.conv(x, taps.reshape(2, 2, channels, 4 * features), (1, 1), _ONE)
  y = y.reshape(batch, height + 1, width + 1, 2, 2, features)
  rows = [jnp.stack([y[:, a : a + height, b : b + width, a, b] for b in (0, 1)], 3) for a in (0, 1)]
  return jnp.stack(rows, 2).reshape(batch, 2 * height, 2 * width, features)


_down_by_platform = _by_platform(_down, lax_down)
_up_by_platform = _by_platform(_up, lax_up)


def down(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Halves height and width: a convolution of 4x4 px at stride 2, one zero on every side.

  Args:
    x: [B,H,W,C], H and W even.
    kernel: [4,4,C,D] of the same dtype.

  Returns:
    [B,H/2,W/2,D] of x's dtype; as PyTorch's Conv2d(C, D, 4, 2, 1) and Keras' padding='same'.
  """
  return _down_by_platform(x, kernel)


def up(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Doubles height and width: the transpose of `down`.

  Args:
    x: [B,H,W,C].
    kernel: [4,4,C,D] of the same dtype; as PyTorch's [C,D,4,4], its axes aside.

  Returns:
    [B,2H,2W,D] of x's dtype; as PyTorch's ConvTranspose2d(C, D, 4, 2, 1).
  """
  return _up_by_platform(x, kernel)
