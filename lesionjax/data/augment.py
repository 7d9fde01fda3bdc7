"""Augmentation and normalisation, batched on the device inside the training step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from data_builders.errors import UserError
from lesionjax.data.colour import GREY, colour_matrix
from lesionjax.data.noise import gaussian_noise
from lesionjax.data.render import BORDERS, render, render_with_mask
from lesionjax.data.warp import compose_inverse

_DRAWS = 16  # uniform numbers per image; each option has its own, so options do not disturb others


@dataclasses.dataclass(frozen=True)
class AugmentOptions:
  """Strengths; every default is off, and all off leaves the pixels exactly as they are.

  Attributes:
    flip_horizontal: mirrors left and right with probability 1/2.
    flip_vertical: mirrors top and bottom with probability 1/2.
    quarter_turns: turns by 0, 90, 180 or 270 degrees, uniform; of an image that is no square, parts
      leave the frame.
    rotation_deg: angle uniform in +-, beside the quarter turns.
    scale: (low, high) zoom, uniform.
    translate: shift uniform in +-, fraction of the side, each axis.
    shear_deg: angle uniform in +-.
    crop_area: (low, high) share of the area that a random crop keeps, uniform; (1, 1) is off.
    crop_aspect: (low, high) width / height of that crop, log-uniform.
    border: what lies beyond the image: 'reflect', 'edge' or 'constant' (black).
    brightness: factor uniform in 1 +-.
    contrast: factor uniform in 1 +-, about the image's mean grey.
    saturation: factor uniform in 1 +-.
    hue: turn uniform in +-, fraction of the colour circle, 0..0.5.
    noise_std: standard deviation of Gaussian noise per pixel and channel, pixels in 0..1.
  """

  flip_horizontal: bool = False
  flip_vertical: bool = False
  quarter_turns: bool = False
  rotation_deg: float = 0.0
  scale: tuple[float, float] = (1.0, 1.0)
  translate: float = 0.0
  shear_deg: float = 0.0
  crop_area: tuple[float, float] = (1.0, 1.0)
  crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
  border: str = 'reflect'
  brightness: float = 0.0
  contrast: float = 0.0
  saturation: float = 0.0
  hue: float = 0.0
  noise_std: float = 0.0

  def __post_init__(self):
    for name, most in _STRENGTHS.items():
      value = getattr(self, name)
      if not 0 <= value <= most:
        raise UserError(f'augment.{name} is {value!r}; it must lie in 0..{most:g}.')
    for name, (least, most) in _RANGES.items():
      values = tuple(getattr(self, name))
      object.__setattr__(self, name, values)  # configs hold lists, which cannot be hashed
      if len(values) != 2 or not least <= values[0] <= values[1] <= most:
        raise UserError(
          f'augment.{name} is {values!r}; it must be two numbers with '
          f'{least:g} <= low <= high <= {most:g}.'
        )
    if self.border not in BORDERS:
      raise UserError(f'augment.border is {self.border!r}; it must be one of {", ".join(BORDERS)}.')

  @property
  def moves_pixels(self) -> bool:
    """Whether any geometric option is on."""
    return (
      self.flip_horizontal
      or self.flip_vertical
      or self.quarter_turns
      or any((self.rotation_deg, self.translate, self.shear_deg))
      or self.scale != (1, 1)
      or self.crops
    )

  @property
  def crops(self) -> bool:
    """Whether random resized crops are on."""
    return self.crop_area != (1, 1)

  @property
  def changes_colour(self) -> bool:
    """Whether any colour option is on."""
    return any((self.brightness, self.contrast, self.saturation, self.hue))


_STRENGTHS = {
  'rotation_deg': 180,
  'translate': 1,
  'shear_deg': 60,
  'brightness': 1,
  'contrast': 1,
  'saturation': 1,
  'hue': 0.5,
  'noise_std': 1,
}
_RANGES = {'scale': (0.1, 10), 'crop_area': (0.01, 1), 'crop_aspect': (0.1, 10)}


def augment(image: jax.Array, key: jax.Array, options: AugmentOptions) -> jax.Array:
  """Augments a batch; a pure function of its arguments.

  Image i draws from `fold_in(key, i)`, so the result does not depend on how the batch is spread
  over devices or processes.

  Args:
    image: uint8 [B, H, W, C], C <= 3; C = 3 for the colour options.
    key: of this step.
    options: strengths, static.

  Returns:
    float32 [B, H, W, C] in [0, 1].
  """
  keys, inverse, colour = _draw(image, key, options)
  return _add_noise(render(image, inverse, colour, options.border), keys, options)


def augment_with_mask(
  image: jax.Array, mask: jax.Array, key: jax.Array, options: AugmentOptions
) -> tuple[jax.Array, jax.Array]:
  """Augments a batch and its lesion masks: one geometry for both, colour and noise for the image.

  Args:
    image: as in `augment`; H and W may differ.
    mask: bool or integer [B, H, W]; what is not 0 is lesion.
    key: as in `augment`.
    options: as in `augment`. Beyond the image, `border` holds for the mask too: the lesion is
      mirrored with the skin, goes on with the edge, or ends with 'constant'.

  Returns:
    float32 [B, H, W, C] in [0, 1], bit for bit what `augment` returns, and uint8 [B, H, W] of 0
    and 1 (nearest neighbour).
  """
  keys, inverse, colour = _draw(image, key, options)
  image, mask = render_with_mask(image, mask, inverse, colour, options.border)
  return _add_noise(image, keys, options), mask


def normalise(image: jax.Array, mean: Sequence[float], std: Sequence[float]) -> jax.Array:
  """(image - mean) / std per channel, for images in [0, 1]."""
  return (image - jnp.asarray(mean, jnp.float32)) / jnp.asarray(std, jnp.float32)


def _draw(
  image: jax.Array, key: jax.Array, options: AugmentOptions
) -> tuple[jax.Array, jax.Array | None, jax.Array | None]:
  """Keys of the images, inverse maps [B, 2, 3] and colour maps [B, 3, 4], None where off."""
  batch, height, width, _ = image.shape
  keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch))
  draws = jax.vmap(lambda one: jax.random.uniform(one, (_DRAWS,)))(keys)
  inverse = colour = None
  if options.moves_pixels:
    inverse = jax.vmap(lambda one: _draw_inverse(one, height, width, options))(draws[:, :12])
  if options.changes_colour:
    mean_grey = _mean_grey(image) if options.contrast else jnp.zeros(batch)
    colour = jax.vmap(lambda one, grey: _draw_colour(one, grey, options))(draws[:, 12:], mean_grey)
  return keys, inverse, colour


def _add_noise(image: jax.Array, keys: jax.Array, options: AugmentOptions) -> jax.Array:
  if not options.noise_std:
    return image
  noise = jax.vmap(lambda one: gaussian_noise(jax.random.fold_in(one, 1), image.shape[1:]))
  return jnp.clip(image + options.noise_std * noise(keys), 0, 1)


def _draw_inverse(draws: jax.Array, height: int, width: int, options: AugmentOptions) -> jax.Array:
  def between(draw: jax.Array, low: float, high: float) -> jax.Array:
    return low + (high - low) * draw

  def around(draw: jax.Array, strength: float) -> jax.Array:
    return between(draw, -strength, strength)

  zero, one = jnp.float32(0), jnp.float32(1)
  rotation_rad = around(draws[2], math.radians(options.rotation_deg))
  if options.quarter_turns:
    rotation_rad += math.pi / 2 * jnp.floor(4 * draws[11])
  crop = (zero, zero, one, one)
  if options.crops:
    low, high = options.crop_aspect
    area = between(draws[7], *options.crop_area)
    aspect = jnp.exp(between(draws[8], math.log(low), math.log(high)))
    crop_width = jnp.minimum(jnp.sqrt(area * aspect), 1)
    crop_height = jnp.minimum(jnp.sqrt(area / aspect), 1)
    crop = (
      (draws[9] - 0.5) * (1 - crop_width),
      (draws[10] - 0.5) * (1 - crop_height),
      crop_width,
      crop_height,
    )
  return compose_inverse(
    height,
    width,
    flip_horizontal=(draws[0] < 0.5) & options.flip_horizontal,
    flip_vertical=(draws[1] < 0.5) & options.flip_vertical,
    rotation_rad=rotation_rad,
    scale=between(draws[3], *options.scale),
    shear_rad=around(draws[4], math.radians(options.shear_deg)),
    translate_x=around(draws[5], options.translate),
    translate_y=around(draws[6], options.translate),
    crop=crop,
  )


def _draw_colour(draws: jax.Array, mean_grey: jax.Array, options: AugmentOptions) -> jax.Array:
  signed = 2 * draws - 1
  return colour_matrix(
    mean_grey,
    brightness=1 + options.brightness * signed[0],
    contrast=1 + options.contrast * signed[1],
    saturation=1 + options.saturation * signed[2],
    hue_rad=2 * math.pi * options.hue * signed[3],
  )


def _mean_grey(image: jax.Array) -> jax.Array:
  """Mean luma [B] in 0..1 of every fourth row and column, which is a pivot as good as any."""
  mean_rgb = image[:, ::4, ::4].astype(jnp.float32).mean(axis=(1, 2)) * (1 / 255)
  return (mean_rgb * jnp.asarray(GREY, jnp.float32)).sum(axis=-1)
