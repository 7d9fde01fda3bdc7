"""The segmentation task: logits of every pixel against the lesion's mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lesionjax.training import supervised
from lesionjax.training.classify import PrepareWithMask
from lesionjax.training.segmentation_losses import SegmentationLoss
from lesionjax.training.state import Array, Batch, PyTree, Task


def make_task(
  model: Any,
  settings: supervised.Settings,
  prepare: PrepareWithMask,
  loss: SegmentationLoss,
  auxiliary_weight: float = 0.0,
) -> Task:
  """Builds the task.

  Args:
    model: a module whose `apply(variables, image, train=...)` returns (logits [B, H, W, 1],
      features); `features['auxiliary']`, where there is one, holds the logits of deep supervision.
    settings: of the update.
    prepare: (image and mask uint8 [B, H, W, 4], key) -> network input float32 [B, H, W, 3] and mask
      uint8 [B, H, W] of 0 and 1; augments both when a key is given.
    loss: (logits, mask) -> loss of every image; a step lowers its mean.
    auxiliary_weight: w in loss + w (mean of the losses of deep supervision).

  Returns:
    The Task. A batch holds `image` uint8 [B, H, W, 4], the fourth channel the mask.
  """

  def total(outputs: supervised.Outputs, mask: Array) -> Array:
    logits, features = outputs
    auxiliary = features.get('auxiliary', ())
    if not auxiliary or not auxiliary_weight:
      return loss(logits, mask)
    rest = jnp.stack([loss(other, mask) for other in auxiliary]).mean(axis=0)
    return loss(logits, mask) + auxiliary_weight * rest

  objective = supervised.Objective(
    read=lambda batch, key: prepare(batch['image'], key),
    loss=total,
    empty=empty_tally,
    add=add_to_tally,
    summarise=summarise_tally,
  )
  return supervised.make_task(model, objective, settings, make_eval_step(model, prepare))


def make_eval_step(
  model: Any, prepare: PrepareWithMask
) -> Callable[[PyTree, Batch], dict[str, Array]]:
  """Builds (weights, batch) -> probability uint8 [B, H, W] (255 = 1) and mask uint8 [B, H, W].

  Images of three channels have no mask, and the outputs neither.
  Eight bits are a finer grid than any threshold that is fitted, and a quarter of the memory.
  """

  def eval_step(weights: PyTree, batch: Batch) -> dict[str, Array]:
    pixels = batch['image']
    known = pixels.shape[-1] == 4
    if not known:
      pixels = jnp.pad(pixels, ((0, 0), (0, 0), (0, 0), (0, 1)))
    image, mask = prepare(pixels, None)
    logits, _ = model.apply(weights, image, train=False)
    probability = jax.nn.sigmoid(logits[..., 0].astype(jnp.float32))
    # NaN must not become a number that looks like one.
    finite = jnp.isfinite(logits).all(axis=(1, 2, 3))
    outputs = {'probability': to_bytes(probability), 'finite': finite}
    return {**outputs, 'mask': mask} if known else outputs

  return eval_step


def to_bytes(probability: Array) -> Array:
  """Probabilities in [0, 1] as uint8, 255 = 1; from .5 on at least 128."""
  return jnp.floor(probability * 255.0 + 0.5).astype(jnp.uint8)


def empty_tally() -> dict[str, Array]:
  """Returns the sums before the first batch."""
  return {name: jnp.zeros((), jnp.float32) for name in ('loss', 'dice', 'jaccard', 'images')}


def add_to_tally(
  tally: dict[str, Array], loss: Array, logits: Array, mask: Array
) -> dict[str, Array]:
  """Adds one batch.

  Args:
    tally: the sums so far.
    loss: float [B].
    logits: float [B, H, W, 1].
    mask: [B, H, W] of 0 and 1.

  Returns:
    The new sums of loss, Dice and Jaccard of every image at probability .5; an empty mask that is
    predicted empty counts as 1.
  """
  predicted, lesion = logits[..., 0] >= 0, mask > 0
  both = (predicted & lesion).sum((1, 2)).astype(jnp.float32)
  sizes = (predicted.sum((1, 2)) + lesion.sum((1, 2))).astype(jnp.float32)
  dice = jnp.where(sizes > 0, 2 * both / jnp.maximum(sizes, 1), 1.0)
  jaccard = jnp.where(sizes > 0, both / jnp.maximum(sizes - both, 1), 1.0)
  batch = {'loss': loss, 'dice': dice, 'jaccard': jaccard, 'images': jnp.ones_like(dice)}
  return {name: tally[name] + value.sum() for name, value in batch.items()}


def summarise_tally(
  tally: dict[str, np.ndarray], class_names: tuple[str, ...] = ()
) -> dict[str, float]:
  """Turns the sums of an epoch into means over its images: loss, dice, jaccard."""
  del class_names  # of classifiers
  images = max(float(tally['images']), 1.0)
  return {name: float(tally[name]) / images for name in ('loss', 'dice', 'jaccard')}
