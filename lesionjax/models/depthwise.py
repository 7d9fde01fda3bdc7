"""Depthwise convolution without XLA's cliff on the CPU.

XLA compiles a depthwise convolution for a CPU into a scalar loop (0.8 GFLOP/s, its kernel gradient
0.2 to 2). Here it is a sum over the taps of the kernel of shifted products, which XLA fuses into
one vectorised loop over the channels; both gradients have a form of their own, and every other
backend keeps the plain lax operation, gradients included.

Like `ops.conv` it holds for reverse-mode differentiation (`jax.grad`, `jax.vjp`) only.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from lesionjax.models.ops import Pads

# Products summed within one element of the vectorised loop of the kernel gradient: each of them
# spares one trip to memory.
_TERMS_MAX = 16


def lax_depthwise(x: jax.Array, kernel: jax.Array, stride: int, pads: Pads) -> jax.Array:
  """The plain operation that `depthwise_conv` equals."""
  return lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    pads,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=x.shape[-1],
  )


def depthwise_conv(x: jax.Array, kernel: jax.Array, stride: int, pads: Pads) -> jax.Array:
  """Convolves every channel with a kernel of its own.

  Args:
    x: [B,H,W,C].
    kernel: [kh,kw,1,C] of the same dtype.
    stride: step of the window in px, vertical and horizontal.
    pads: zeros before and after, vertical and horizontal, none negative.

  Returns:
    [B,h,w,C] with h = (H + sum(pads[0]) - kh) // stride + 1, of x's dtype.
  """
  return _depthwise(x, kernel, stride, pads)


def _value(x, kernel, stride, pads):
  shifted = partial(_shifted_products, stride=stride, pads=pads)
  plain = partial(lax_depthwise, stride=stride, pads=pads)
  return lax.platform_dependent(x, kernel, cpu=shifted, default=plain)


def _forward(x, kernel, stride, pads):
  return _value(x, kernel, stride, pads), (x, kernel)


def _backward(stride, pads, saved, gradient):
  x, kernel = saved

  def plain(x, kernel, gradient):
    return jax.vjp(partial(lax_depthwise, stride=stride, pads=pads), x, kernel)[1](gradient)

  def mended(x, kernel, gradient):
    return (
      _input_gradient(x.shape, kernel, gradient, stride, pads),
      _kernel_gradient(x, kernel.shape, gradient, stride, pads),
    )

  return lax.platform_dependent(x, kernel, gradient, cpu=mended, default=plain)


_depthwise = jax.custom_vjp(_value, nondiff_argnums=(2, 3))
_depthwise.defvjp(_forward, _backward)


def _seen(padded: jax.Array, tap: tuple[int, int], size: tuple[int, int], stride: int) -> jax.Array:
  """The pixels [B,h,w,C] of a padded map that one tap of the kernel sees."""
  (row, column), (rows, columns) = tap, size
  return padded[
    :,
    row : row + (rows - 1) * stride + 1 : stride,
    column : column + (columns - 1) * stride + 1 : stride,
  ]


def _wide(x: jax.Array) -> jax.Array:
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _shifted_products(x, kernel, stride, pads) -> jax.Array:
  """Sum over taps of (the pixels a tap sees) * (its weight per channel), in float32 at least."""
  padded = _wide(jnp.pad(x, ((0, 0), *pads, (0, 0))))
  weights = _wide(kernel)
  rows, columns = ((padded.shape[1 + axis] - kernel.shape[axis]) // stride + 1 for axis in (0, 1))
  total = jnp.zeros((), padded.dtype)
  for row in range(kernel.shape[0]):
    for column in range(kernel.shape[1]):
      total += _seen(padded, (row, column), (rows, columns), stride) * weights[row, column, 0]
  return total.astype(x.dtype)


def _input_gradient(x_shape, kernel, gradient, stride, pads) -> jax.Array:
  """Transpose of `_shifted_products` in x.

  Input pixels whose row and column leave the same remainders by the stride see the same taps: each
  such set is computed as one dense map of shifted products, and the maps are interleaved. Zeros
  between the pixels of the gradient instead cost the square of the stride in arithmetic.
  """
  batch, height, width, channels = x_shape
  kh, kw = kernel.shape[:2]
  counts = tuple(-(-n // stride) for n in (height, width))
  # So wide that no shift below leaves the padded gradient.
  margins = tuple(
    (k, max(0, count + k + pad[0] - n))
    for k, pad, n, count in zip((kh, kw), pads, gradient.shape[1:3], counts, strict=True)
  )
  padded = _wide(jnp.pad(gradient, ((0, 0), *margins, (0, 0))))
  weights = _wide(kernel)
  lines = []
  for y in range(stride):
    planes = []
    for x in range(stride):
      total = jnp.zeros((batch, *counts, channels), padded.dtype)
      for row in range((y + pads[0][0]) % stride, kh, stride):
        for column in range((x + pads[1][0]) % stride, kw, stride):
          top = margins[0][0] + (y + pads[0][0] - row) // stride
          left = margins[1][0] + (x + pads[1][0] - column) // stride
          part = padded[:, top : top + counts[0], left : left + counts[1]]
          total += part * weights[row, column, 0]
      planes.append(total.astype(gradient.dtype))
    lines.append(jnp.stack(planes, 3).reshape(batch, counts[0], counts[1] * stride, channels))
  whole = jnp.stack(lines, 2).reshape(batch, counts[0] * stride, counts[1] * stride, channels)
  return whole[:, :height, :width]


def _kernel_gradient(x, kernel_shape, gradient, stride, pads) -> jax.Array:
  """Transpose of `_shifted_products` in the kernel.

  A tap's gradient is the sum over all pixels of (what the tap saw) * (gradient). As one reduction
  XLA makes a scalar loop of it; here a rectangle of up to `_TERMS_MAX` pixels is summed by plain
  additions, vectorised over the channels, and the few sums left are a product with ones, which
  XLA does not fuse into what it reads. The rows of the kernel are a loop: written out, a network's
  kernel gradients are 5 to 10 % faster and take three quarters of its compile time.
  """
  kh, kw, _, channels = kernel_shape
  batch, rows, columns, _ = gradient.shape
  high = _largest_divisor(rows, _TERMS_MAX)
  wide = _largest_divisor(columns, _TERMS_MAX // high)
  padded = _wide(jnp.pad(x, ((0, 0), *pads, (0, 0))))
  gradient = _wide(gradient)
  ones = jnp.ones((batch, rows // high, columns // wide), padded.dtype)

  def row_of_taps(row):
    """Gradient of one row of the kernel, [kw, channels]."""
    lines = lax.dynamic_slice_in_dim(padded, row, (rows - 1) * stride + 1, 1)
    taps = []
    for column in range(kw):
      total = jnp.zeros((), padded.dtype)
      for i in range(high):
        for j in range(wide):
          left = column + j * stride
          stop = left + (columns - wide) * stride + 1
          seen = lines[:, i * stride :: high * stride, left : stop : wide * stride]
          total += seen * gradient[:, i::high, j::wide]
      taps.append(lax.dot_general(ones, total, (((0, 1, 2), (0, 1, 2)), ((), ()))))
    return jnp.stack(taps)

  taps = lax.map(row_of_taps, jnp.arange(kh))
  return taps.reshape(kh, kw, 1, channels).astype(x.dtype)


def _largest_divisor(number: int, limit: int) -> int:
  return max(n for n in range(1, min(number, limit) + 1) if number % n == 0)
