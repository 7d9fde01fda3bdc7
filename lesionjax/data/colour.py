"""Colour jitter as one affine map of RGB per image."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

# ITU-R BT.601 luma and the NTSC chroma axes, as in Python's colorsys.
RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114],
                       [0.596, -0.274, -0.322],
                       [0.211, -0.523, 0.312]])  # fmt: skip
_YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)
GREY = RGB_TO_YIQ[0]


def colour_matrix(
  mean_grey: jax.Array,
  brightness: jax.Array,
  contrast: jax.Array,
  saturation: jax.Array,
  hue_rad: jax.Array,
) -> jax.Array:
  """Brightness, contrast, saturation and hue composed, in this order, without clipping between.

  Each is an affine map of RGB, hence so is their composition, which costs nine multiplications a
  pixel. Brightness, contrast and saturation follow torchvision (multiply; blend with the mean
  grey; blend with the pixel's own grey). Hue turns the chroma plane of YIQ, which keeps luma, where
  a turn in HSV would not be linear and would keep the largest channel.

  Args:
    mean_grey: mean luma of the image, 0..1.
    brightness: factor, 1 changes nothing.
    contrast: factor, 1 changes nothing.
    saturation: factor, 1 changes nothing.
    hue_rad: angle, 0 changes nothing.

  Returns:
    float32 [3, 4]: out = matrix[:, :3] @ rgb + matrix[:, 3], RGB in 0..1.
  """
  cos, sin = jnp.cos(hue_rad), jnp.sin(hue_rad)
  grey = jnp.outer(jnp.ones(3), jnp.array(GREY, jnp.float32))
  to_yiq = jnp.array(RGB_TO_YIQ, jnp.float32)
  to_rgb = jnp.array(_YIQ_TO_RGB, jnp.float32)
  turn = jnp.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
  hue = _product(to_rgb, _product(turn, to_yiq))
  saturate = saturation * jnp.eye(3) + (1 - saturation) * grey
  linear = _product(hue, saturate) * (brightness * contrast)
  # Greys pass through saturation and hue unchanged, so the pivot's share needs no matrix.
  offset = (1 - contrast) * brightness * mean_grey * jnp.ones((3, 1))
  return jnp.concatenate([linear, offset], axis=1)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
  """Matrix product in full precision; accelerators round the operands of `@`."""
  return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
