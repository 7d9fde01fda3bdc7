"""Integrated gradients and occlusion of any score function.

Sources: Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017, equations 1 and
3; Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2
(there the probability falls, here the logit, which does not saturate and is what the other methods
explain).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_builders.errors import UserError
from lesionjax.models import names

Score = Callable[[Any, jax.Array], jax.Array]
"""(weights, image float [B, H, W, 3] normalised) -> logits [B, K]."""

Attribution = Callable[[Any, Any, Any], jax.Array]
"""(weights, image, class int [B]) -> float32 [B, H, W]."""

BASELINES = ('blurred', 'black', 'mean')
# Of the blurred baseline, as a share of the image's shorter side: no lesion keeps its edge.
_BLUR_SHARE = 1 / 8


def check_integrated_gradients(steps: int, baseline: str) -> None:
  """Refuses an unknown baseline, or no step.

  Raises:
    UserError: saying what is allowed.
  """
  names.check_name('baseline', baseline, BASELINES)
  if steps < 1:
    raise UserError(f'Integrated gradients need steps of at least 1, not {steps}.')


def make_integrated_gradients(
  score: Score, steps: int = 32, baseline: str = 'blurred', black: Any = 0.0
) -> Attribution:
  """Builds integrated gradients; the path is differentiated at the middle of each of its steps.

  Args:
    score: of the network.
    steps: number of points on the path.
    baseline: where the path begins: 'blurred' (the image without detail), 'black', 'mean' (the mean
      colour that the normalisation subtracts).
    black: a black pixel after normalisation, a number or [3].

  Returns:
    A function whose result sums, over an image, to the difference of the logit between the image
    and the baseline.
  """

  def attribute(weights: Any, image: jax.Array, classes: jax.Array) -> jax.Array:
    """Relevance [B, H, W] of images [B, H, W, 3] for classes [B]."""
    start = baseline_of(image, baseline, black)
    wanted = jax.nn.one_hot(classes, jax.eval_shape(score, weights, image).shape[-1])

    def gradient_at(total: jax.Array, share: jax.Array) -> tuple[jax.Array, None]:
      gradient = jax.grad(lambda x: jnp.sum(score(weights, x) * wanted))
      return total + gradient(start + share * (image - start)), None

    # One point after the other: memory does not grow with their number.
    shares = (jnp.arange(steps, dtype=jnp.float32) + 0.5) / steps
    total, _ = jax.lax.scan(gradient_at, jnp.zeros_like(image), shares)
    return ((image - start) * total / steps).sum(-1)

  return attribute


def baseline_of(image: jax.Array, baseline: str, black: Any = 0.0) -> jax.Array:
  """Returns the beginning of the path, shaped like image [B, H, W, 3]."""
  if baseline == 'mean':
    return jnp.zeros_like(image)
  if baseline == 'black':
    return jnp.broadcast_to(jnp.asarray(black, image.dtype), image.shape)
  for axis in (1, 2):
    image = jnp.einsum(
      'ij,b...j->b...i',
      jnp.asarray(_blur_matrix(image.shape[axis], min(image.shape[1:3]) * _BLUR_SHARE)),
      jnp.moveaxis(image, axis, -1),
    )
    image = jnp.moveaxis(image, -1, axis)
  return image


def _blur_matrix(size: int, sigma_px: float) -> np.ndarray:
  """A Gaussian along an axis as a matrix [size, size] whose rows sum to 1, borders included."""
  places = np.arange(size)
  matrix = np.exp(-((places[:, None] - places) ** 2) / (2 * sigma_px**2))
  return (matrix / matrix.sum(1, keepdims=True)).astype(np.float32)


def check_occlusion(size: tuple[int, int], patch_px: int, stride_px: int) -> None:
  """Refuses squares that are larger than the image or leave gaps.

  Raises:
    UserError: saying what is allowed.
  """
  if not 1 <= patch_px <= min(size):
    raise UserError(f'patch_px={patch_px} must be from 1 to {min(size)}, the side of the image.')
  if not 1 <= stride_px <= patch_px:
    raise UserError(f'stride_px={stride_px} must be from 1 to patch_px={patch_px}: no gaps.')


def occlusion_places(size: int, patch_px: int, stride_px: int) -> list[int]:
  """First pixels of the squares along an axis; the last one ends at the border."""
  last = size - patch_px
  return [*range(0, last, stride_px), last]


def make_occlusion(score: Score, patch_px: int, stride_px: int) -> Attribution:
  """Builds occlusion by squares of the mean colour that the normalisation subtracts.

  Args:
    score: of the network.
    patch_px: side of a square.
    stride_px: by how much it is moved, at most `patch_px`.

  Returns:
    A function whose result is, at every pixel, the mean fall of the logit over the squares that
    cover it.
  """

  def attribute(weights: Any, image: jax.Array, classes: jax.Array) -> jax.Array:
    """Relevance [B, H, W] of images [B, H, W, 3] for classes [B]."""
    height, width = image.shape[1:3]
    rows, columns = (occlusion_places(side, patch_px, stride_px) for side in (height, width))
    places = jnp.asarray([(row, column) for row in rows for column in columns])

    def logit(x: jax.Array) -> jax.Array:
      return jnp.take_along_axis(score(weights, x), classes[:, None], 1)[:, 0]

    def covered(place: jax.Array) -> jax.Array:
      y, x = jnp.arange(height) - place[0], jnp.arange(width) - place[1]
      return ((y >= 0) & (y < patch_px))[:, None] & (x >= 0) & (x < patch_px)

    whole = logit(image)

    def cover(sums: tuple[jax.Array, jax.Array], place: jax.Array):
      inside = covered(place)
      fall = whole - logit(jnp.where(inside[..., None], 0.0, image))
      return (sums[0] + fall[:, None, None] * inside, sums[1] + inside), None

    empty = jnp.zeros(image.shape[:3], jnp.float32), jnp.zeros((height, width), jnp.float32)
    (falls, times), _ = jax.lax.scan(cover, empty, places)
    return falls / times

  return attribute
