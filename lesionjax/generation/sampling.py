"""Images drawn from a generator: a pure function, and a compiled one for any number of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax.runs.predictor import TrainedRun
from lesionjax.training.adversarial import latents

_SEEDS = 2**32


def check_seed(seed: int, name: str = 'seed') -> None:
  """Refuses a seed that no key of random numbers has.

  Args:
    seed: of latents.
    name: what the user calls it.

  Raises:
    UserError: saying what is allowed.
  """
  if not 0 <= seed < _SEEDS:
    raise UserError(f'{name}={seed} must be a whole number from 0 to {_SEEDS - 1}.')


def sample(model: Any, weights: Any, label: jax.Array, index: jax.Array, seed: int) -> jax.Array:
  """Draws images; a pure function, row by row.

  Args:
    model: of `lesionjax.models.generation`.
    weights: {'params', 'batch_stats'}, as a prediction uses them.
    label: int [B].
    index: int [B], which of the endlessly many images of the seed; other rows change nothing.
    seed: of the latents.

  Returns:
    float32 [B, S, S, 3] in [-1, 1].
  """
  drawn = latents(seed, index, model.latent)
  return model.apply(weights, drawn, label, False, method='generate')


def to_pixels(image: jax.Array) -> jax.Array:
  """Images in [-1, 1] as uint8."""
  return jnp.clip(jnp.round((image + 1) * 127.5), 0, 255).astype(jnp.uint8)


class Sampler:
  """Draws any number of images, some at a time; compiled once."""

  def __init__(self, model: Any, batch_size: int = 100):
    """Prepares the function; `batch_size` images are drawn together."""
    self._batch_size = batch_size
    self._draw = jax.jit(lambda w, y, i, seed: to_pixels(sample(model, w, y, i, seed)))

  def __call__(
    self, weights: Any, labels: Sequence[int] | np.ndarray, seed: int, start: int = 0
  ) -> np.ndarray:
    """Draws one image for every label.

    Args:
      weights: as in `sample`, on one device or replicated.
      labels: [N].
      seed: of the latents, 0 to 2**32 - 1.
      start: number of the first image: images start.. of a long series, whatever is asked at once.

    Returns:
      uint8 [N, S, S, 3].
    """
    labels = np.asarray(labels, np.int32)
    index = np.arange(start, start + len(labels), dtype=np.int32)
    missing = -len(labels) % self._batch_size
    padded = [np.pad(values, (0, missing)) for values in (labels, index)]
    found = []
    for at in range(0, len(padded[0]), self._batch_size):
      rows = slice(at, at + self._batch_size)
      # Unsigned: as a plain number, half of the seeds would not fit into 32 bits.
      drawn = self._draw(weights, padded[0][rows], padded[1][rows], np.uint32(seed))
      found.append(np.asarray(drawn))
    return np.concatenate(found)[: len(labels)]


class Generator(TrainedRun):
  """A trained generator, ready to draw images."""

  def __init__(self, run_dir: epath.PathLike):
    """Reads configuration, class names and best weights of a run directory.

    Raises:
      UserError: it is no generator.
    """
    super().__init__(run_dir)
    if self.config.task != 'generate':
      raise UserError(f'{run_dir} is a run of task {self.config.task!r}, not a generator.')
    self._sampler = Sampler(self.model)

  def generate(
    self, labels: Sequence[int | str] | np.ndarray, seed: int = 0, start: int = 0
  ) -> np.ndarray:
    """Draws an image for every label.

    Args:
      labels: class names, or their numbers.
      seed: of the latents, 0 to 2**32 - 1.
      start: number of the first image in the endless series of a seed: image i is a function of
        (weights, seed, start + i, label) alone.

    Returns:
      uint8 [N, S, S, 3] RGB, preprocessed as the training images were.

    Raises:
      UserError: naming the class that the generator does not know; a seed out of range.
    """
    check_seed(seed)
    names = self.class_names
    rows = []
    for label in labels:
      known = label in names if isinstance(label, str) else 0 <= int(label) < len(names)
      if not known:
        raise UserError(
          f'{self.run_dir} generates the classes {", ".join(names)}, numbers 0 to {len(names) - 1},'
          f' and no class {label!r}.'
        )
      rows.append(names.index(label) if isinstance(label, str) else int(label))
    if not rows:
      raise UserError('generate() was given no label: pass at least one class.')
    return self._sampler(self.weights, rows, seed, start)
