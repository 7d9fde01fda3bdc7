"""The table of generators with their discriminators, and the one function that builds a pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp

from data_builders.errors import UserError
from lesionjax.models import names
from lesionjax.models.generation import projection, published
from lesionjax.models.generation.pair import GAN

NORMS = ('instance', 'batch')


@dataclasses.dataclass(frozen=True)
class GeneratorSpec:
  """An entry of the table.

  Attributes:
    constructor: makes the pair from the number of classes, the size in px, `latent`, `dtype` and
      the options.
    options: arguments that `build_gan` accepts besides.
    stride: the sides of an image are multiples of it.
    power_of_two: whether they must be powers of two.
  """

  constructor: Callable[..., GAN]
  options: tuple[str, ...]
  stride: int
  power_of_two: bool = False


def _published(
  num_classes: int,
  size_px: int,
  latent: int,
  dtype: Any,
  widths: Sequence[int] = (256, 128, 64, 32),
  discriminator_widths: Sequence[int] = (64, 128, 256),
  dropout: float = 0.3,
) -> GAN:
  generator = published.PublishedGenerator(num_classes, size_px, tuple(widths), dtype)
  judge = published.PublishedDiscriminator(num_classes, tuple(discriminator_widths), dropout, dtype)
  return GAN(generator, judge, latent)


def _projection(
  num_classes: int,
  size_px: int,
  latent: int,
  dtype: Any,
  width: int = 24,
  discriminator_width: int = 32,
  embedding: int = 64,
  norm: str = 'batch',
  spectral: bool = False,
) -> GAN:
  generator = projection.ProjectionGenerator(num_classes, size_px, width, embedding, norm, dtype)
  judge = projection.ProjectionDiscriminator(num_classes, discriminator_width, spectral, dtype)
  return GAN(generator, judge, latent)


GENERATORS: Mapping[str, GeneratorSpec] = MappingProxyType(
  {
    'projection': GeneratorSpec(
      _projection, ('width', 'discriminator_width', 'embedding', 'norm', 'spectral'), 16, True
    ),
    'published': GeneratorSpec(_published, ('widths', 'discriminator_widths', 'dropout'), 8),
  }
)

_LENGTHS = {'widths': 4, 'discriminator_widths': 3}


def _whole(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_value(name: str, key: str, value: Any) -> None:
  """Refuses a value that would fail late, or not at all."""
  wanted = ''
  if key == 'dropout' and not (isinstance(value, int | float) and 0 <= value < 1):
    wanted = 'a share, at least 0 and below 1'
  elif key in ('width', 'discriminator_width', 'embedding') and not _whole(value):
    wanted = 'a positive whole number'
  elif key == 'spectral' and not isinstance(value, bool):
    wanted = 'True or False'
  elif key == 'norm' and value not in NORMS:
    wanted = f'one of {", ".join(NORMS)}'
  elif key in _LENGTHS and not (
    isinstance(value, Sequence) and len(value) == _LENGTHS[key] and all(map(_whole, value))
  ):
    wanted = f'{_LENGTHS[key]} positive whole numbers, one a layer'
  if wanted:
    raise UserError(f'generator {name!r}: {key}={value!r} must be {wanted}')


def _check_size(name: str, spec: GeneratorSpec, size_px: int) -> None:
  multiple = size_px > 0 and size_px % spec.stride == 0
  power = not spec.power_of_two or size_px & (size_px - 1) == 0
  if not (multiple and power):
    allowed = 'a power of two, 16 or more' if spec.power_of_two else f'a multiple of {spec.stride}'
    raise UserError(
      f'generator {name!r} makes square images whose side is {allowed}, not {size_px}'
    )


def build_gan(
  name: str,
  num_classes: int,
  size_px: int,
  latent: int = 128,
  dtype: Any = jnp.float32,
  **arguments: Any,
) -> GAN:
  """Builds a generator with its discriminator by its name in `GENERATORS`.

  Args:
    name: key of `GENERATORS`.
    num_classes: K, at least 1.
    size_px: height and width of the images.
    latent: Z, numbers that an image is drawn from.
    dtype: dtype of the arithmetic; parameters, statistics, images and logits stay float32.
    **arguments: options of that entry.

  Returns:
    The pair; `apply(variables, latent, label, train, method='generate')` gives images float32
    [B,S,S,3] in [-1, 1], `method='discriminate'` of (image, label, train) logits float32 [B].

  Raises:
    UserError: unknown name or argument, a value or a size that is not allowed.
  """
  names.check_name('generator', name, GENERATORS)
  spec = GENERATORS[name]
  names.check_arguments('generator', name, arguments, spec.options)
  if num_classes < 1:
    raise UserError(f'generator {name!r} needs num_classes of at least 1, not {num_classes}')
  for key, value in arguments.items():
    _check_value(name, key, value)
  _check_size(name, spec, size_px)
  return spec.constructor(num_classes, size_px, latent, dtype, **arguments)
