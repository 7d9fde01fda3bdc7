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

A lesion mask travels in a spare bit of its image's words: the same four gathers bring it along, so
that both see one geometry by construction, and the pixels of the image stay as they are without it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

BORDERS = ('reflect', 'edge', 'constant')

_FIELD = 10  # bits a channel
_MASK_BIT = 30  # of a word, behind three channels
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
  words = _pack(image, colour) if inverse is None else _warped(image, inverse, colour, None, border)
  return _pixels(words, image.shape[-1])


def render_with_mask(
  image: jax.Array,
  mask: jax.Array,
  inverse: jax.Array | None,
  colour: jax.Array | None,
  border: str,
) -> tuple[jax.Array, jax.Array]:
  """As `render`, with a mask that goes through the same warp and no colour map.

  Args:
    image: as in `render`.
    mask: bool or integer [B, H, W]; what is not 0 is lesion.
    inverse: as in `render`.
    colour: as in `render`.
    border: as in `render`; beyond the image the mask is mirrored or goes on as the image does, and
      is 0 with 'constant'.

  Returns:
    float32 [B, H, W, C], bit for bit what `render` returns, and uint8 [B, H, W] of 0 and 1: the
    source pixel whose centre is nearest (of two equally near ones the right or lower one).
  """
  if mask.shape != image.shape[:3]:
    raise ValueError(f'mask {mask.shape} does not lie on image {image.shape}')
  if inverse is None:
    return render(image, None, colour, border), (mask != 0).astype(jnp.uint8)
  words = _warped(image, inverse, colour, mask, border)
  return _pixels(words, image.shape[-1]), (words >> _MASK_BIT).astype(jnp.uint8)


def _warped(
  image: jax.Array,
  inverse: jax.Array,
  colour: jax.Array | None,
  mask: jax.Array | None,
  border: str,
) -> jax.Array:
  """Words [B, H, W] of the warped images, in the way that suits the device."""
  return jax.lax.platform_dependent(
    image,
    inverse,
    colour,
    mask,
    cpu=functools.partial(_in_chunks, functools.partial(_warp, border=border, apart=True)),
    default=functools.partial(_warp, border=border, apart=False),
  )


def _pixels(words: jax.Array, channels: int) -> jax.Array:
  """Words [B, H, W] to float32 [B, H, W, C] in [0, 1]."""
  shifts = _FIELD * jnp.arange(channels, dtype=jnp.uint32)
  return _field(words[..., None] >> shifts) * jnp.float32(1 / (255 * _STEPS))


def _warp(
  image: jax.Array,
  inverse: jax.Array,
  colour: jax.Array | None,
  mask: jax.Array | None = None,
  *,
  border: str,
  apart: bool,
) -> jax.Array:
  """Words [b, H, W] of the warped images, and masks where there are any."""
  batch, height, width, channels = image.shape

  def prepare() -> tuple[jax.Array, jax.Array, jax.Array]:
    words = _pack(image, colour)
    if mask is not None:
      words |= (mask != 0).astype(jnp.uint32) << _MASK_BIT
    return words, *_locate(inverse, height, width, border)

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
  if mask is not None:
    bit = _nearest(corners, right, below)
    result |= (jnp.where(inside >= 0.5, bit, 0) if border == 'constant' else bit) << _MASK_BIT
  return result


def _nearest(corners: list[jax.Array], right: jax.Array, below: jax.Array) -> jax.Array:
  """Mask bit [b, H, W] of the corner that weighs most."""
  a, b, c, d = corners
  above = jnp.where(right >= 0.5, b, a)
  beneath = jnp.where(right >= 0.5, d, c)
  return jnp.where(below >= 0.5, beneath, above) >> _MASK_BIT


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
