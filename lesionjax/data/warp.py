"""One affine warp per image: every geometric augmentation composed, sampled once."""

from __future__ import annotations

import jax
import jax.numpy as jnp

BORDERS = ('reflect', 'edge', 'constant')


def compose_inverse(
  height: int,
  width: int,
  *,
  flip_horizontal: jax.Array,
  flip_vertical: jax.Array,
  rotation_rad: jax.Array,
  scale: jax.Array,
  shear_rad: jax.Array,
  translate_x: jax.Array,
  translate_y: jax.Array,
  crop: tuple[jax.Array, jax.Array, jax.Array, jax.Array],
) -> jax.Array:
  """Maps output pixels to source pixels: [2, 3], as `cv2.warpAffine` with WARP_INVERSE_MAP wants.

  About the image centre, the crop is cut first and stretched to the full size, then scaled,
  sheared, rotated (counter-clockwise as seen), flipped and moved.

  Args:
    height: of the image, in pixels.
    width: of the image, in pixels.
    flip_horizontal: scalar bool.
    flip_vertical: scalar bool.
    rotation_rad: angle.
    scale: zoom; 2 shows everything twice as large.
    shear_rad: angle by which vertical lines lean.
    translate_x: shift to the right, in widths.
    translate_y: shift downwards, in heights.
    crop: centre x and y relative to the image centre, width, height; in fractions of the image.

  Returns:
    float32 [2, 3].
  """
  centre = jnp.array([(width - 1) / 2, (height - 1) / 2])
  size = jnp.array([width, height], jnp.float32)
  cos, sin, tan = jnp.cos(rotation_rad), jnp.sin(rotation_rad), jnp.tan(shear_rad)
  sign_x = 1.0 - 2.0 * flip_horizontal
  sign_y = 1.0 - 2.0 * flip_vertical
  # Inverse of flip @ rotation @ shear @ scale, written out: (unshear @ unrotate) @ flip / scale.
  linear = jnp.array([[(cos - tan * sin) * sign_x, (-sin - tan * cos) * sign_y],
                      [sin * sign_x, cos * sign_y]]) / scale  # fmt: skip
  crop_x, crop_y, crop_width, crop_height = crop
  linear = jnp.array([crop_width, crop_height])[:, None] * linear
  shift = jnp.array([translate_x, translate_y]) * size
  # Elementwise, not a matrix product, which accelerators may round to fewer bits.
  moved = (linear * (centre + shift)).sum(axis=1)
  offset = centre + jnp.array([crop_x, crop_y]) * size - moved
  return jnp.concatenate([linear, offset[:, None]], axis=1)


def warp_affine(image: jax.Array, inverse: jax.Array, border: str = 'reflect') -> list[jax.Array]:
  """Samples an image bilinearly at affinely mapped positions.

  The channels of a pixel are packed into one 32-bit word, so that a neighbour costs one gather
  whatever the number of channels: gathers dominate the cost on a CPU.

  Args:
    image: uint8 [H, W, C], C <= 4, H and W >= 2.
    inverse: float32 [2, 3], output pixel (x, y, 1) to source pixel (x, y).
    border: beyond the image lies its mirror image without the edge repeated ('reflect'), its edge
      ('edge') or black ('constant'). Only the first mirror image is made, its far edge goes on.

  Returns:
    C channels, float32 [H, W] in 0..255.
  """
  height, width, channels = image.shape
  words = _pack(image).reshape(-1)
  y = jnp.arange(height, dtype=jnp.float32)[:, None]
  x = jnp.arange(width, dtype=jnp.float32)[None, :]
  source_x = inverse[0, 0] * x + (inverse[0, 1] * y + inverse[0, 2])
  source_y = inverse[1, 0] * x + (inverse[1, 1] * y + inverse[1, 2])
  column, right = _split_coordinate(source_x, width, border)
  row, below = _split_coordinate(source_y, height, border)
  index = row * width + column
  corners = [
    (words.at[index + step].get(mode='promise_in_bounds'), weight)
    for step, weight in (
      (0, (1 - right) * (1 - below)),
      (1, right * (1 - below)),
      (width, (1 - right) * below),
      (width + 1, right * below),
    )
  ]
  result = [sum(_unpack(word, c) * weight for word, weight in corners) for c in range(channels)]
  if border == 'constant':
    inside = _coverage(source_x, width) * _coverage(source_y, height)
    result = [channel * inside for channel in result]
  return result


def _split_coordinate(position: jax.Array, size: int, border: str) -> tuple[jax.Array, jax.Array]:
  """Whole pixel 0 .. size - 2 and fraction 0 .. 1 of a position, after the border rule."""
  last = size - 1.0
  if border == 'reflect':
    position = last - jnp.abs(last - jnp.abs(position))
  position = jnp.clip(position, 0.0, last)
  whole = jnp.minimum(position.astype(jnp.int32), size - 2)
  return whole, position - whole.astype(jnp.float32)


def _coverage(position: jax.Array, size: int) -> jax.Array:
  """1 inside the image, falling to 0 within one pixel beyond its edge."""
  return jnp.clip(1 + jnp.minimum(position, size - 1.0 - position), 0.0, 1.0)


def _pack(image: jax.Array) -> jax.Array:
  """uint8 [..., C] to uint32 [...], the first channel in the lowest byte."""
  padding = [(0, 0)] * (image.ndim - 1) + [(0, 4 - image.shape[-1])]
  return jax.lax.bitcast_convert_type(jnp.pad(image, padding), jnp.uint32)


def _unpack(words: jax.Array, channel: int) -> jax.Array:
  # By way of int32: vector units convert signed integers to float in one instruction.
  return ((words >> (8 * channel)) & 0xFF).astype(jnp.int32).astype(jnp.float32)
