"""Images drawn from a generator: a pure function, and a compiled one for any number of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lesionjax.training.adversarial import latents


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
      seed: of the latents.
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
      found.append(np.asarray(self._draw(weights, padded[0][rows], padded[1][rows], seed)))
    return np.concatenate(found)[: len(labels)]
