"""One affine map per image: every geometric augmentation composed, so pixels are sampled once."""

from __future__ import annotations

import jax
import jax.numpy as jnp


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
