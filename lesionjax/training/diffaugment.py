"""Differentiable augmentation: what the discriminator sees, real and generated alike, is changed.

Source: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020, and the
strengths of its official code.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

NAMES = ('colour', 'translation', 'cutout')
_SHIFT = 1 / 8  # of the side
_CUT = 1 / 2  # of the side


def diff_augment(
  image: jax.Array, key: jax.Array, names: Sequence[str] = NAMES, strength: float = 1.0
) -> jax.Array:
  """Changes every image by itself, in a way that gradients pass.

  Args:
    image: float [B, H, W, 3] in [-1, 1]; 0, the middle grey, comes in from outside.
    key: of this call.
    names: of `NAMES`; empty leaves the images as they are.
    strength: in [0, 1], of all of them; 1 is the publication's, 0 leaves the images as they are.

  Returns:
    float [B, H, W, 3]; colours may leave [-1, 1].
  """
  if not strength:
    return image
  steps = {'colour': _colour, 'translation': _translate, 'cutout': _cut_out}
  for number, name in enumerate(NAMES):
    if name in names:
      image = steps[name](image, jax.random.fold_in(key, number), strength)
  return image


def _colour(image: jax.Array, key: jax.Array, strength: float) -> jax.Array:
  """Brightness + U(-.5, .5), saturation x U(0, 2), contrast x U(.5, 1.5)."""
  draws = strength * jax.random.uniform(key, (3, image.shape[0], 1, 1, 1), minval=-1.0)
  draws = draws.astype(image.dtype)
  image = image + 0.5 * draws[0]
  grey = image.mean(-1, keepdims=True)
  image = grey + (image - grey) * (1 + draws[1])
  mean = image.mean((1, 2, 3), keepdims=True)
  return mean + (image - mean) * (1 + 0.5 * draws[2])


def _translate(image: jax.Array, key: jax.Array, strength: float) -> jax.Array:
  """Shifts by whole pixels, up to an eighth of the side, either way."""
  batch, height, width, channels = image.shape
  # As products with shifted unit matrices: on a CPU a gather's gradient is a slow scatter.
  rows, columns = (
    _shifted_units(jax.random.fold_in(key, axis), batch, side, strength, image.dtype)
    for axis, side in enumerate((height, width))
  )
  moved = jnp.einsum('bij,bjk->bik', rows, image.reshape(batch, height, width * channels))
  moved = moved.reshape(batch, height, width, channels)
  return jnp.einsum('bij,bhjc->bhic', columns, moved)


def _shifted_units(
  key: jax.Array, batch: int, side: int, strength: float, dtype: jnp.dtype
) -> jax.Array:
  """Matrices [B, side, side] that shift by a number of pixels of their own."""
  most = round(strength * _SHIFT * side)
  shift = jax.random.randint(key, (batch, 1, 1), -most, most + 1)
  place = jnp.arange(side)
  return (place[:, None] - place[None, :] == shift).astype(dtype)


def _cut_out(image: jax.Array, key: jax.Array, strength: float) -> jax.Array:
  """Greys a square of half the side, somewhere."""
  batch, height, width, _ = image.shape
  inside = []
  for axis, side in enumerate((height, width)):
    size = round(strength * _CUT * side)
    centre = jax.random.randint(jax.random.fold_in(key, axis), (batch, 1), 0, side + 1 - size % 2)
    place = jnp.arange(side) - centre + size // 2
    inside.append((place >= 0) & (place < size))
  hole = inside[0][:, :, None] & inside[1][:, None, :]
  return jnp.where(hole[..., None], jnp.zeros((), image.dtype), image)
