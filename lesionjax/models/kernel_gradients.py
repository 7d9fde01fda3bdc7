"""Kernel gradients of convolutions as matrix products, for a CPU (see `ops`)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

Pads = tuple[tuple[int, int], tuple[int, int]]

# Patches are made for so many elements at a time (float32: 1 MiB, within a core's cache), or for
# twice those of the kernel, whose sum is read and written again every time.
_PATCHES_MAX_ELEMENTS = 1 << 18
# The same for the transposed factor of the kernel gradient of a 1x1 convolution, or the kernel's.
_POINTWISE_MAX_ELEMENTS = 1 << 16
# Maps of at most so many rows are one product: the loop adds up more than it keeps apart.
_POINTWISE_MAX_ROWS_AT_ONCE = 7


def dot(a: jax.Array, b: jax.Array, axes_a: tuple[int, ...], axes_b: tuple[int, ...]) -> jax.Array:
  """Contraction in float32 at least: XLA's CPU products of bfloat16 are slow or missing."""
  wide = jnp.promote_types(a.dtype, jnp.float32)
  return lax.dot_general(a.astype(wide), b.astype(wide), ((axes_a, axes_b), ((), ())))


def over_pixels(a: jax.Array, b: jax.Array) -> jax.Array:
  """Contraction [C,D] of two maps [B,H,W,C] and [B,H,W,D], as matrices.

  A product over three axes XLA would precede by a transposed copy of the first map.
  """
  return dot(a.reshape(-1, a.shape[3]), b.reshape(-1, b.shape[3]), (0,), (0,))


def pointwise(x, gradient, strides) -> jax.Array:
  """Kernel gradient of a 1x1 convolution: one product over all pixels, a few rows at a time.

  XLA transposes the first factor, and as one product it computes the normalisation and the relu
  that made it along the transposed order, pixel by pixel: a third of ResNet-50's training step. A
  loop keeps them apart. The gradient comes first where it and the product take less to transpose.
  """
  batch, rows, columns, features = gradient.shape
  channels = x.shape[3]
  x = x[:, :: strides[0], :: strides[1]][:, :rows, :columns]
  pixels = batch * rows * columns
  swap = pixels * features + features * channels < pixels * channels
  row_elements = batch * columns * min(channels, features)
  limit = max(_POINTWISE_MAX_ELEMENTS, features * channels)
  if rows > _POINTWISE_MAX_ROWS_AT_ONCE:
    limit = min(limit, (rows - 1) * row_elements)
  step = largest_step(rows, row_elements, limit)

  def add(i, total):
    seen = lax.dynamic_slice_in_dim(x, i * step, step, 1)
    part = lax.dynamic_slice_in_dim(gradient, i * step, step, 1)
    pair = (part, seen) if swap else (seen, part)
    return total + over_pixels(*pair)

  wide = jnp.promote_types(x.dtype, jnp.float32)
  shape = (features, channels) if swap else (channels, features)
  total = lax.fori_loop(0, rows // step, add, jnp.zeros(shape, wide))
  total = jnp.transpose(total) if swap else total
  return total[None, None].astype(x.dtype)


def largest_step(rows: int, row_elements: int, limit: int) -> int:
  """The largest divisor of `rows` whose rows hold at most `limit` elements, or one row."""
  fitting = (n for n in range(1, rows + 1) if rows % n == 0 and n * row_elements <= limit)
  return max(fitting, default=1)


def by_patches(x, kernel_shape, gradient, strides, pads) -> jax.Array:
  """Kernel gradient by patches of the narrower of the two maps.

  At stride 1 the input and the output gradient may change places: every tap is then mirrored.
  """
  kh, kw, channels, features = kernel_shape
  (top, bottom), (left, right) = pads
  mirrored = (kh - 1 - top, kh - 1 - bottom), (kw - 1 - left, kw - 1 - right)
  if features >= channels or strides != (1, 1) or min(min(pad) for pad in mirrored) < 0:
    return _product(x, kernel_shape, gradient, strides, pads)
  shape = (kh, kw, features, channels)
  return jnp.transpose(_product(gradient, shape, x, strides, mirrored)[::-1, ::-1], (0, 1, 3, 2))


def _product(x, kernel_shape, gradient, strides, pads) -> jax.Array:
  """Kernel gradient as products of the output gradient with the patches it saw.

  The patches are made for a few rows of the output at a time, in a loop: all at once they would be
  nine times the map, and fresh memory costs a CPU more than the arithmetic. Rows, not images: the
  batch axis stays whole, so that a batch sharded over devices is never gathered.
  """
  kh, kw, channels, features = kernel_shape
  batch, rows, columns, _ = gradient.shape
  row_elements = batch * columns * kh * kw * channels
  limit = max(_PATCHES_MAX_ELEMENTS, 2 * kh * kw * channels * features)
  step = largest_step(rows, row_elements, limit)
  reach = ((step - 1) * strides[0] + 1, (columns - 1) * strides[1] + 1)
  padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))

  def add(i, total):
    part = lax.dynamic_slice_in_dim(gradient, i * step, step, 1)
    seen = lax.dynamic_slice_in_dim(padded, i * step * strides[0], reach[0] + kh - 1, 1)
    patches = jnp.concatenate(
      [
        seen[:, row : row + reach[0] : strides[0], column : column + reach[1] : strides[1]]
        for row in range(kh)
        for column in range(kw)
      ],
      axis=-1,
    )
    return total + over_pixels(part, patches)

  wide = jnp.promote_types(x.dtype, jnp.float32)
  total = lax.fori_loop(0, rows // step, add, jnp.zeros((features, kh * kw * channels), wide))
  return jnp.transpose(total).reshape(kernel_shape).astype(x.dtype)
