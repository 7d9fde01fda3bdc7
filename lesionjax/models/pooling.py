"""Max pooling whose gradient a CPU computes by comparison instead of XLA's select-and-scatter."""

from __future__ import annotations

from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax


def lax_max_pool(x: jax.Array, window: int, stride: int, pad: int = 0) -> jax.Array:
  """The plain operation that `max_pool` equals."""
  return lax.reduce_window(
    x,
    -jnp.inf,
    lax.max,
    (1, window, window, 1),
    (1, stride, stride, 1),
    ((0, 0), (pad, pad), (pad, pad), (0, 0)),
  )


def max_pool(x: jax.Array, window: int, stride: int, pad: int = 0) -> jax.Array:
  """Maximum over square windows; of equal maxima the first (row by row) gets the gradient.

  Args:
    x: float [B,H,W,C].
    window: height and width of the window in px, at most 15.
    stride: its step in px.
    pad: px added on every side, which never win; less than `window`.

  Returns:
    [B,h,w,C] with h = (H + 2 * pad - window) // stride + 1.
  """
  return _max_pool(x, window, stride, pad)


def halve(x: jax.Array) -> jax.Array:
  """Mean over 2x2 px of [B,H,W,C], without an odd last row or column: [B,H//2,W//2,C].

  As a mean over axes: XLA's windowed sums take a CPU several times as long.
  """
  batch, height, width, channels = x.shape
  rows, columns = height // 2, width // 2
  x = x[:, : 2 * rows, : 2 * columns].reshape(batch, rows, 2, columns, 2, channels)
  return jnp.mean(x, (2, 4))


def _value(x, window, stride, pad):
  # jaxlib 0.12.0.1 miscompiles a bfloat16 reduce_window between convolutions on a CPU: NaN. Half
  # precision is for accelerators; on a CPU it only has to be right. And where windows do not
  # overlap, XLA joins reduce_window with the convolutions behind it into one slow loop: slices of
  # a U-Net's maps take it a tenth less time in evaluation.
  if x.dtype != jnp.bfloat16 and window > stride:
    return lax_max_pool(x, window, stride, pad)
  by_slices = partial(_slices_max, window=window, stride=stride, pad=pad)
  plain = partial(lax_max_pool, window=window, stride=stride, pad=pad)
  return lax.platform_dependent(x, cpu=by_slices, default=plain)


def _slices_max(x, window, stride, pad):
  padding = ((0, 0), (pad, pad), (pad, pad), (0, 0))
  padded = jnp.pad(x, padding, constant_values=-jnp.inf)
  rows, columns = ((size - window) // stride + 1 for size in padded.shape[1:3])
  return reduce(
    jnp.maximum,
    (
      padded[
        :,
        row : row + (rows - 1) * stride + 1 : stride,
        column : column + (columns - 1) * stride + 1 : stride,
      ]
      for row in range(window)
      for column in range(window)
    ),
  )


def _forward(x, window, stride, pad):
  y = _value(x, window, stride, pad)
  return y, (x, y)


def _backward(window, stride, pad, saved, gradient):
  def plain(x, y, gradient):
    del y
    return jax.vjp(lambda x: lax_max_pool(x, window, stride, pad), x)[1](gradient)[0]

  mended = partial(_route_to_winner, window=window, stride=stride, pad=pad)
  return (lax.platform_dependent(*saved, gradient, cpu=mended, default=plain),)


_max_pool = jax.custom_vjp(_value, nondiff_argnums=(1, 2, 3))
_max_pool.defvjp(_forward, _backward)


def _first_winner(x, y, tap, window, stride, pad):
  """Whether a tap, numbered row by row, is the first of its window to hold the maximum.

  Compares the input with the maximum again instead of keeping the winner's number from the
  forward pass: XLA would fuse the search for the winner into each of its many readers.
  """
  padded = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), constant_values=-jnp.inf)
  rows, columns = y.shape[1:3]

  def wins(number):
    row, column = divmod(number, window)
    seen = padded[
      :,
      row : row + (rows - 1) * stride + 1 : stride,
      column : column + (columns - 1) * stride + 1 : stride,
    ]
    return seen == y

  first = wins(tap)
  for earlier in range(tap):
    first &= ~wins(earlier)
  return first


def _route_to_winner(x, y, gradient, window, stride, pad):
  """Gives every input pixel the gradients of the windows it won.

  Pixels whose row and column leave the same remainders by the stride see the same taps: each such
  set is computed as one dense map, and the maps are interleaved.
  """
  batch, height, width, channels = x.shape
  counts = [-(-n // stride) for n in (height, width)]
  zero = jnp.zeros((), gradient.dtype)
  planes = []
  for row in range(stride):
    for column in range(stride):
      total = jnp.zeros((batch, *counts, channels), gradient.dtype)
      for i in range((row + pad) % stride, window, stride):
        for j in range((column + pad) % stride, window, stride):
          shift = ((row + pad - i) // stride, (column + pad - j) // stride)
          first = _first_winner(x, y, i * window + j, window, stride, pad)
          total += _shifted(jnp.where(first, gradient, zero), shift, counts)
      planes.append(total)
  whole = jnp.stack(planes, 3).reshape(batch, *counts, stride, stride, channels)
  whole = whole.transpose(0, 1, 3, 2, 4, 5)
  whole = whole.reshape(batch, counts[0] * stride, counts[1] * stride, channels)
  return whole[:, :height, :width]


def _shifted(x, shift, counts):
  """Result[i, j] = x[i + shift[0], j + shift[1]], zero outside, for i, j below `counts`."""
  edges = [(0, 0, 0)]
  for axis in (0, 1):
    edges.append((-shift[axis], counts[axis] + shift[axis] - x.shape[1 + axis], 0))
  return lax.pad(x, jnp.zeros((), x.dtype), (*edges, (0, 0, 0)))
