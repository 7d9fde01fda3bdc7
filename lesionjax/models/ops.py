"""Convolution and pooling as the models use them, without XLA's cliffs on the CPU.

XLA compiles some ordinary operations badly for a CPU: a convolution whose map is no larger than
its kernel (1 GFLOP/s against 300), the kernel gradient of a convolution, the gradient of max
pooling (see `pooling`). Here each of them is a matrix product or a fused comparison on a CPU and
the plain lax operation, gradients included, on every other backend. `jax.lax.platform_dependent`
decides while lowering, so only one form is ever compiled.

The functions hold for reverse-mode differentiation (`jax.grad`, `jax.vjp`), not for `jax.jvp`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from lesionjax.models import kernel_gradients, narrow
from lesionjax.models.kernel_gradients import Pads, dot, largest_step

# Maps of at most this many output pixels are convolved tap by tap on a CPU: measured at 1x1, 2x2
# and 4x4, where most of a kernel lies outside the map; from 8x8 on lax is as fast or faster.
_TAPS_MAX_PIXELS = 16
# The same for kernel gradients, beyond which patches are faster on maps so small.
_TAPS_MAX_KERNEL_GRADIENT_PIXELS = 4
# Kernel gradients from so many input channels on are a product with patches on a CPU (174 to 240
# GFLOP/s against 71 to 224, from 7x7 to 64x64); at the 3 of a stem the patches cost more.
_PATCHES_MIN_CHANNELS = 16
# Between channels so few a CPU convolves two columns at a time: measured from 16 to 128 px.
_NARROW_MAX_CHANNELS = 16
_NARROW_MAX_KERNEL_CHANNELS = 128


def lax_conv(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads) -> jax.Array:
  """The plain operation that `conv` equals."""
  return lax.conv_general_dilated(
    x, kernel, strides, pads, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def conv(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads) -> jax.Array:
  """Two-dimensional convolution (cross-correlation, as in every network).

  Args:
    x: [B,H,W,C].
    kernel: [kh,kw,C,D] of the same dtype.
    strides: steps of the window in px, vertical and horizontal.
    pads: zeros before and after, vertical and horizontal, none negative.

  Returns:
    [B,h,w,D] with h = (H + sum(pads[0]) - kh) // strides[0] + 1, of x's dtype.
  """
  return _conv(x, kernel, strides, pads)


def _conv_value(x, kernel, strides, pads) -> jax.Array:
  plain = partial(lax_conv, strides=strides, pads=pads)
  if _tap_by_tap(x.shape, kernel.shape, strides, pads):
    mended = partial(_taps_forward, strides=strides, pads=pads)
  elif _is_narrow(x.shape, kernel.shape, strides, pads):
    mended = partial(narrow.conv, pads=pads)
  else:
    return plain(x, kernel)
  return lax.platform_dependent(x, kernel, cpu=mended, default=plain)


def _conv_forward(x, kernel, strides, pads):
  return _conv_value(x, kernel, strides, pads), (x, kernel)


def _conv_backward(strides, pads, saved, gradient):
  x, kernel = saved
  taps = _tap_by_tap(x.shape, kernel.shape, strides, pads)
  patches = kernel.shape[2] >= _PATCHES_MIN_CHANNELS and kernel.shape[:2] != (1, 1)
  narrow_input = _narrow_input_gradient(gradient.shape, kernel.shape, strides, pads)

  def plain(x, kernel, gradient):
    """Both gradients as lax has them."""
    return jax.vjp(partial(lax_conv, strides=strides, pads=pads), x, kernel)[1](gradient)

  def mended(x, kernel, gradient):
    """The same two gradients in the forms that a CPU computes fast for these shapes."""
    if taps:
      to_input = _taps_input_gradient(x.shape, kernel, gradient, strides, pads)
    elif narrow_input:
      to_input = narrow.input_gradient(kernel, gradient, pads)
    else:
      to_input = jax.vjp(lambda x: lax_conv(x, kernel, strides, pads), x)[1](gradient)[0]
    pixels = gradient.shape[1] * gradient.shape[2]
    if kernel.shape[:2] == (1, 1) and pads == ((0, 0), (0, 0)):
      to_kernel = kernel_gradients.pointwise(x, gradient, strides)
    elif taps and not (patches and pixels > _TAPS_MAX_KERNEL_GRADIENT_PIXELS):
      to_kernel = _taps_kernel_gradient(x, kernel.shape, gradient, strides, pads)
    elif patches:
      to_kernel = kernel_gradients.by_patches(x, kernel.shape, gradient, strides, pads)
    else:
      to_kernel = jax.vjp(lambda k: lax_conv(x, k, strides, pads), kernel)[1](gradient)[0]
    return to_input, to_kernel

  if not taps and not patches and not narrow_input:
    return plain(x, kernel, gradient)
  return lax.platform_dependent(x, kernel, gradient, cpu=mended, default=plain)


_conv = jax.custom_vjp(_conv_value, nondiff_argnums=(2, 3))
_conv.defvjp(_conv_forward, _conv_backward)


def _tap_by_tap(
  x: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, int], pads: Pads
) -> bool:
  """Whether a CPU convolves these shapes tap by tap: a small map, or one tap alone."""
  rows, columns = _out_size(x, kernel, strides, pads)
  return kernel[:2] == (1, 1) or 0 < rows * columns <= _TAPS_MAX_PIXELS


def _is_narrow(
  x: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, int], pads: Pads
) -> bool:
  """Whether a CPU convolves these shapes two columns at a time."""
  channels, features = kernel[2:]
  few = channels * features <= _NARROW_MAX_KERNEL_CHANNELS
  few |= max(channels, features) <= _NARROW_MAX_CHANNELS
  return few and narrow.foldable(x, kernel, strides, pads)


def _narrow_input_gradient(
  gradient: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, int], pads: Pads
) -> bool:
  """The same for the transpose in x, a convolution of the gradient with the mirrored kernel."""
  turned = (*kernel[:2], kernel[3], kernel[2])
  mirrored = narrow.mirrored(kernel, pads)
  return min(map(min, mirrored)) >= 0 and _is_narrow(gradient, turned, strides, mirrored)


def _out_size(
  x: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, int], pads: Pads
) -> tuple[int, int]:
  rows, columns = (max(0, (x[1 + i] + sum(pads[i]) - kernel[i]) // strides[i] + 1) for i in (0, 1))
  return rows, columns


class _Span(NamedTuple):
  """Outputs [start, stop) of one axis that see a tap inside the map; they read input `first`."""

  start: int
  stop: int
  first: int

  def inputs(self, stride: int) -> slice:
    return slice(self.first, self.first + (self.stop - self.start - 1) * stride + 1, stride)


def _span(tap: int, stride: int, pad: int, size: int, out_size: int) -> _Span:
  start = max(0, -((tap - pad) // stride))
  stop = min(out_size, (size - 1 - tap + pad) // stride + 1)
  return _Span(start, stop, start * stride + tap - pad)


def _taps(
  x: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, int], pads: Pads
) -> Iterator[tuple[int, int, _Span, _Span]]:
  """The taps of a kernel that meet the map at all, with the outputs at which they do."""
  out = _out_size(x, kernel, strides, pads)
  for row in range(kernel[0]):
    for column in range(kernel[1]):
      vertical = _span(row, strides[0], pads[0][0], x[1], out[0])
      horizontal = _span(column, strides[1], pads[1][0], x[2], out[1])
      if vertical.start < vertical.stop and horizontal.start < horizontal.stop:
        yield row, column, vertical, horizontal


def _taps_forward(x: jax.Array, kernel: jax.Array, strides, pads) -> jax.Array:
  """Sum over taps of (the pixels a tap sees) x (its matrix): nothing is spent on padding."""
  rows, columns = _out_size(x.shape, kernel.shape, strides, pads)
  total = jnp.zeros((), jnp.promote_types(x.dtype, jnp.float32))
  for row, column, v, h in _taps(x.shape, kernel.shape, strides, pads):
    seen = x[:, v.inputs(strides[0]), h.inputs(strides[1])]
    part = dot(seen, kernel[row, column], (3,), (0,))
    total += jnp.pad(part, ((0, 0), (v.start, rows - v.stop), (h.start, columns - h.stop), (0, 0)))
  shape = (x.shape[0], rows, columns, kernel.shape[3])
  return jnp.broadcast_to(total, shape).astype(x.dtype)


def _taps_input_gradient(x_shape, kernel, gradient, strides, pads) -> jax.Array:
  """Transpose of `_taps_forward` in x."""
  total = jnp.zeros((), jnp.promote_types(gradient.dtype, jnp.float32))
  for row, column, v, h in _taps(x_shape, kernel.shape, strides, pads):
    part = dot(gradient[:, v.start : v.stop, h.start : h.stop], kernel[row, column], (3,), (1,))
    edges = [(0, 0, 0)]
    for axis, span in ((0, v), (1, h)):
      after = x_shape[1 + axis] - span.inputs(strides[axis]).stop
      edges.append((span.first, after, strides[axis] - 1))
    total += lax.pad(part, jnp.zeros((), part.dtype), (*edges, (0, 0, 0)))
  return jnp.broadcast_to(total, x_shape).astype(gradient.dtype)


def _taps_kernel_gradient(x, kernel_shape, gradient, strides, pads) -> jax.Array:
  """Transpose of `_taps_forward` in the kernel."""
  found = {}
  for row, column, v, h in _taps(x.shape, kernel_shape, strides, pads):
    seen = x[:, v.inputs(strides[0]), h.inputs(strides[1])]
    pixels = gradient[:, v.start : v.stop, h.start : h.stop]
    found[row, column] = dot(seen, pixels, (0, 1, 2), (0, 1, 2)).astype(x.dtype)
  none = jnp.zeros(kernel_shape[2:], x.dtype)
  taps = [found.get((i, j), none) for i in range(kernel_shape[0]) for j in range(kernel_shape[1])]
  return jnp.stack(taps).reshape(kernel_shape)


@jax.custom_vjp
def materialised_gradient(x: jax.Array) -> jax.Array:
  """The identity; on a CPU the gradient of x [B,H,W,C] is computed once and kept.

  XLA fuses the sum of many readers' gradients into each of its own readers, over and over. It
  does not look through a loop (an optimization barrier is gone before a CPU's fusion).
  """
  return x


def _materialise(x):
  rows = x.shape[1]
  step = largest_step(rows, 2, rows)
  if step == rows:
    return x

  def copy(i, kept):
    part = lax.dynamic_slice_in_dim(x, i * step, step, 1)
    return lax.dynamic_update_slice_in_dim(kept, part, i * step, 1)

  return lax.fori_loop(0, rows // step, copy, jnp.zeros_like(x))


materialised_gradient.defvjp(
  lambda x: (x, None),
  lambda _, gradient: (lax.platform_dependent(gradient, cpu=_materialise, default=lambda x: x),),
)
