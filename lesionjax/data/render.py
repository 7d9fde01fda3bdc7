"""Pixels through a colour map and an affine warp, formulated to be cheap on every device.

A gather costs the same for one byte as for a word, so the channels of a pixel travel as one 32-bit
word of three 10-bit fields, a quarter of a grey level each: a bilinear sample is four gathers,
not twelve. Colour comes before the warp, where each pixel is computed once.

XLA on a CPU fuses these stages into one loop that repeats the arithmetic for every reader, four
corners by three channels, and runs five times slower than OpenCV. There the stages are kept apart
and the batch goes through in chunks that stay in the cache, which makes it as fast as OpenCV.

Positions, weights and coefficients are rounded to fixed-point numbers short enough for all later
arithmetic to be exact, so that no compiler's order or fusion of operations changes a pixel: one
device, eight devices and another number of images a batch give the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

BORDERS = ('reflect', 'edge', 'constant')

_FIELD = 10  # bits a channel; the two spare bits are room for a mask
_STEPS = 4  # field values per grey level: whole levels are exact
_POSITION = 14  # fractional bits of a source position
_FRACTION = 7  # bits of an interpolation weight, two more than OpenCV's: 10 + 7 + 7 fit a float
_COLOUR = 1 << 11  # coefficients per 1: with 8-bit pixels they fit a float up to a factor of 8
_CHUNK_PIXELS = 1 << 17  # per chunk: half a megabyte for each intermediate array


def render(
  image: jax.Array, inverse: jax.Array | None, colour: jax.Array | None, border: str
) -> jax.Array:
  """Applies a colour map, then an affine warp, to every image of a batch.

  Args:
    image: uint8 [B, H, W, C], C <= 3, H and W >= 2.
    inverse: float32 [B, 2, 3], output pixel (x, y, 1) to source pixel (x, y); None: no warp.
    colour: float32 [B, 3, 4], applied to RGB in 0..1 and clipped; None: no change.
    border: beyond the image lies its mirror image without the edge repeated ('reflect'), its edge
      ('edge') or black ('constant'). Only the first mirror image is made; its far edge goes on.

  Returns:
    float32 [B, H, W, C] in [0, 1], bilinear, in steps of 1/1020. Sides up to 4096 pixels.
  """
  if inverse is None and colour is None:
    # Times the reciprocal, as XLA would make of a division anyway, so that NumPy agrees exactly.
    return image.astype(jnp.float32) * jnp.float32(1 / 255)
  channels = image.shape[-1]
  if inverse is None:
    words = _pack(image, colour)
  else:
    words = jax.lax.platform_dependent(
      image,
      inverse,
      colour,
      cpu=functools.partial(_in_chunks, functools.partial(_warp, border=border, apart=True)),
      default=functools.partial(_warp, border=border, apart=False),
    )
  shifts = _FIELD * jnp.arange(channels, dtype=jnp.uint32)
  return _field(words[..., None] >> shifts) * jnp.float32(1 / (255 * _STEPS))


def _warp(
  image: jax.Array, inverse: jax.Array, colour: jax.Array | None, *, border: str, apart: bool
) -> jax.Array:
  """Words [b, H, W] of the warped images."""
  batch, height, width, channels = image.shape

  def prepare() -> tuple[jax.Array, jax.Array, jax.Array]:
    return _pack(image, colour), *_locate(inverse, height, width, border)

  words, index, weights = _kept_apart(prepare, inverse) if apart else prepare()
  # Image by image, so that a batch spread over devices is gathered where it lies.
  take = jax.vmap(lambda word, at: word.at[at].get(mode='promise_in_bounds'))
  words = words.reshape(batch, -1)
  corners = [take(words, index + step) for step in (0, 1, width, width + 1)]
  right, below, inside = _unpack_weights(weights)
  result = jnp.uint32(0)
  for channel in range(channels):
    a, b, c, d = (_field(corner >> (_FIELD * channel)) for corner in corners)
    above = a + (b - a) * right
    value = above + (c + (d - c) * right - above) * below
    value = value * inside if border == 'constant' else value
    result |= _round(value) << (_FIELD * channel)
  return result


def _pack(image: jax.Array, colour: jax.Array | None) -> jax.Array:
  """uint8 [b, H, W, C] to words [b, H, W], the first channel in the lowest bits."""
  channels = [image[..., c].astype(jnp.float32) for c in range(image.shape[-1])]
  if colour is not None:
    entry = (jnp.round(colour * _COLOUR) / _COLOUR)[:, None, None]
    red, green, blue = channels
    channels = [
      entry[..., row, 0] * red
      + entry[..., row, 1] * green
      + entry[..., row, 2] * blue
      + 255 * entry[..., row, 3]
      for row in range(3)
    ]
    channels = [jnp.clip(channel, 0, 255) for channel in channels]
  words = jnp.uint32(0)
  for c, channel in enumerate(channels):
    words |= _round(channel * _STEPS) << (_FIELD * c)
  return words


def _locate(
  inverse: jax.Array, height: int, width: int, border: str
) -> tuple[jax.Array, jax.Array]:
  """Upper left source pixel of every output pixel and how much its neighbours weigh.

  Returns:
    int32 [b, H, W] index into an image, and int32 [b, H, W] with three fields for
    `_unpack_weights`.
  """
  y = jnp.arange(height, dtype=jnp.int32)[:, None]
  x = jnp.arange(width, dtype=jnp.int32)[None, :]
  fixed = jnp.round(inverse * (1 << _POSITION)).astype(jnp.int32)[:, :, :, None, None]
  source_x = fixed[:, 0, 0] * x + (fixed[:, 0, 1] * y + fixed[:, 0, 2])
  source_y = fixed[:, 1, 0] * x + (fixed[:, 1, 1] * y + fixed[:, 1, 2])
  column, right = _split(source_x, width, border)
  row, below = _split(source_y, height, border)
  weights = right | (below << 8)
  if border == 'constant':
    share = _coverage(source_x, width) * _coverage(source_y, height)
    weights |= (share >> _FRACTION) << 16
  return row * width + column, weights


def _split(position: jax.Array, size: int, border: str) -> tuple[jax.Array, jax.Array]:
  """Whole pixel 0 .. size - 2 and weight of the next one, after the border rule."""
  last = (size - 1) << _POSITION
  if border == 'reflect':
    position = last - jnp.abs(last - jnp.abs(position))
  half = 1 << (_POSITION - _FRACTION - 1)
  position = jnp.clip(position + half, 0, last)
  whole = jnp.minimum(position >> _POSITION, size - 2)
  return whole, (position - (whole << _POSITION)) >> (_POSITION - _FRACTION)


def _coverage(position: jax.Array, size: int) -> jax.Array:
  """Weight 1 inside the image, falling to 0 within one pixel beyond its edge."""
  one, last = 1 << _POSITION, (size - 1) << _POSITION
  return jnp.clip(one + jnp.minimum(position, last - position), 0, one) >> (_POSITION - _FRACTION)


def _unpack_weights(weights: jax.Array) -> list[jax.Array]:
  """Weight of the right and of the lower neighbours, share of the sample inside the image."""
  one = 1 << _FRACTION
  return [((weights >> at) & 255).astype(jnp.float32) * (1 / one) for at in (0, 8, 16)]


def _round(value: jax.Array) -> jax.Array:
  # By way of int32: vector units convert signed integers from and to float in one instruction.
  return (value + 0.5).astype(jnp.int32).astype(jnp.uint32)


def _field(words: jax.Array) -> jax.Array:
  return (words & ((1 << _FIELD) - 1)).astype(jnp.int32).astype(jnp.float32)


def _in_chunks(function: Callable[..., jax.Array], image: jax.Array, *others: jax.Array):
  """Maps a function over chunks of a batch, one after the other.

  A chunk takes every k-th image, so that each device of a sharded batch finds its share in each
  chunk.
  """
  batch, height, width, _ = image.shape
  largest = max(1, _CHUNK_PIXELS // (height * width))
  size = next(n for n in range(min(batch, largest), 0, -1) if batch % n == 0)
  if size == batch:
    return function(image, *others)

  def split(array: jax.Array) -> jax.Array:
    return jnp.moveaxis(array.reshape(size, batch // size, *array.shape[1:]), 1, 0)

  chunks = jax.tree.map(split, (image, *others))
  result = jax.lax.map(lambda chunk: function(*chunk), chunks)
  return jnp.moveaxis(result, 0, 1).reshape(batch, *result.shape[2:])


def _kept_apart(function: Callable[[], tuple[jax.Array, ...]], matrix: jax.Array):
  """Calls a function so that XLA computes its results once and stores them.

  `optimization_barrier` is gone before XLA's CPU fusion runs. A branch whose condition is known
  only at run time is not fused with what follows: this one is taken unless the matrix is infinite.
  """
  shapes = jax.eval_shape(function)
  zeros = functools.partial(jax.tree.map, lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  return jax.lax.cond(jnp.abs(matrix[0, 0, 0]) < jnp.inf, function, zeros)
