"""Convolutions between few channels, two columns at a time, for a CPU (see `ops`).

XLA's fast convolution takes channels from about 32 on; others run at a third of its speed and, from
an image's three channels, at a tenth. Seen as [B,H,W/2,2C] (no number moves) a map has twice the
channels: two columns of the result see one column more than one does, so that a 3x3 convolution of
it is one of 3x2 blocks, for a third more arithmetic.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from lesionjax.models.kernel_gradients import Pads


def foldable(
  x: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, int], pads: Pads
) -> bool:
  """Whether a convolution of these shapes has an even number of columns, and an odd kernel."""
  columns = x[2] + sum(pads[1]) - kernel[1] + 1
  return strides == (1, 1) and kernel[1] % 2 == 1 and columns > 0 and columns % 2 == 0


def conv(x: jax.Array, kernel: jax.Array, pads: Pads) -> jax.Array:
  """A `foldable` convolution of [B,H,W,C] with [kh,kw,C,D]."""
  y = lax.conv_general_dilated(
    _folded_input(x, pads),
    _folded_kernel(kernel),
    (1, 1),
    (pads[0], (0, 0)),
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  return y.reshape(*y.shape[:2], 2 * y.shape[2], kernel.shape[3])


def input_gradient(kernel: jax.Array, gradient: jax.Array, pads: Pads) -> jax.Array:
  """Transpose of `conv` in x; the convolution with the mirrored kernel must be foldable."""
  turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
  return conv(gradient, turned, mirrored(kernel.shape, pads))


def mirrored(kernel: tuple[int, ...], pads: Pads) -> Pads:
  """Zeros that the gradient is padded with in the transpose of a convolution at stride 1."""
  (top, bottom), (left, right) = pads
  return (
    (kernel[0] - 1 - top, kernel[0] - 1 - bottom),
    (kernel[1] - 1 - left, kernel[1] - 1 - right),
  )


def _folded_input(x, pads):
  batch, height, _, channels = x.shape
  # Joined, not padded: XLA's pad asks of every number whether it lies inside.
  left, right = (jnp.zeros((batch, height, pad, channels), x.dtype) for pad in pads[1])
  x = jnp.concatenate((left, x, right), 2)
  width = x.shape[2]
  return x.reshape(batch, height, width // 2, 2 * channels)


def _folded_kernel(kernel):
  """[kh,kw,C,D] -> [kh,(kw+1)/2,2C,2D]: for the left and for the right column of the result."""
  kh, kw, channels, features = kernel.shape
  pad = partial(jnp.pad, kernel)
  left, right = (pad(((0, 0), edge, (0, 0), (0, 0))) for edge in ((0, 1), (1, 0)))
  both = jnp.stack((left, right), 3)
  return both.reshape(kh, (kw + 1) // 2, 2 * channels, 2 * features)
