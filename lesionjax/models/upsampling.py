"""Transposed convolution of 2x2 px at stride 2, whose gradient XLA compiles badly for a CPU.

The windows do not overlap: every pixel becomes a square of four by itself. On a CPU that is one
matrix product per row of the square; its gradients are products, too (5.5 ms against 157 ms). Every
other backend keeps the plain lax operation, gradients included.

Like `ops.conv` it holds for reverse-mode differentiation (`jax.grad`, `jax.vjp`) only.
"""

from __future__ import annotations

import jax
from jax import lax

from lesionjax.models.kernel_gradients import dot, pointwise


def lax_up_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """The plain operation that `up_conv` equals."""
  return lax.conv_transpose(
    x, kernel[::-1, ::-1], (2, 2), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


@jax.custom_vjp
def up_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Doubles height and width: y[2i + a, 2j + b] = x[i, j] @ kernel[a, b].

  Args:
    x: [B,H,W,C].
    kernel: [2,2,C,D] of the same dtype; as PyTorch's [C,D,2,2], its axes aside.

  Returns:
    [B,2H,2W,D] of x's dtype.
  """
  return lax.platform_dependent(x, kernel, cpu=_product, default=lax_up_conv)


def _product(x, kernel):
  batch, height, width, channels = x.shape
  features = kernel.shape[3]
  columns = kernel.transpose(2, 0, 1, 3).reshape(channels, 4 * features)
  y = dot(x, columns, (3,), (0,)).astype(x.dtype)
  y = y.reshape(batch, height, width, 2, 2 * features).transpose(0, 1, 3, 2, 4)
  return y.reshape(batch, 2 * height, 2 * width, features)


def _gradients(x, kernel, gradient):
  batch, height, width, channels = x.shape
  features = kernel.shape[3]
  # The reverse of the forward pass: the four pixels of a square side by side.
  square = gradient.reshape(batch, height, 2, width, 2 * features).transpose(0, 1, 3, 2, 4)
  square = square.reshape(batch, height, width, 4 * features)
  columns = kernel.transpose(2, 0, 1, 3).reshape(channels, 4 * features)
  to_x = dot(square, columns, (3,), (1,)).astype(x.dtype)
  to_kernel = pointwise(x, square, (1, 1))
  return to_x, to_kernel.reshape(channels, 2, 2, features).transpose(1, 2, 0, 3)


def _plain_gradients(x, kernel, gradient):
  return jax.vjp(lax_up_conv, x, kernel)[1](gradient)


up_conv.defvjp(
  lambda x, kernel: (up_conv(x, kernel), (x, kernel)),
  lambda saved, gradient: lax.platform_dependent(
    *saved, gradient, cpu=_gradients, default=_plain_gradients
  ),
)
