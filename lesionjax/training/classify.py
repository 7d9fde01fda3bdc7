"""The classification task: logits of an image against its label."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp

from lesionjax.training import losses, supervised, tally
from lesionjax.training.attention import attention_loss
from lesionjax.training.state import Array, Batch, Task

Prepare = Callable[[Array, Array | None], Array]
PrepareWithMask = Callable[[Array, Array | None], tuple[Array, Array]]


def make_task(
  model: Any,
  num_classes: int,
  settings: supervised.Settings,
  prepare: Prepare,
  loss: losses.Loss = losses.cross_entropy,
) -> Task:
  """Builds the task.

  Args:
    model: a module whose `apply(variables, image, train=...)` returns (logits [B, K], features).
    num_classes: K.
    settings: of the update.
    prepare: (image uint8 [B, H, W, 3], key) -> network input float32; augments when a key is
      given, only normalises when it is None.
    loss: (logits, labels) -> loss of every image; a step lowers its mean.

  Returns:
    The Task. A batch holds `image` uint8 [B, H, W, 3] and `label` int32 [B].
  """
  objective = supervised.Objective(
    read=lambda batch, key: (prepare(batch['image'], key), batch['label']),
    loss=lambda outputs, label: loss(outputs[0], label),
    empty=partial(tally.empty, num_classes),
    add=tally.add,
    summarise=tally.summarise,
  )
  return supervised.make_task(model, objective, settings, make_eval_step(model, prepare))


def make_attentive_task(
  model: Any,
  num_classes: int,
  settings: supervised.Settings,
  prepare: PrepareWithMask,
  loss: losses.Loss = losses.cross_entropy,
  attention_weight: float = 0.4,
) -> Task:
  """Builds the task that also sees lesion masks, in training only.

  Args:
    model: as in `make_task`; its `features['last_map']` is drawn to the lesion.
    num_classes: K.
    settings: of the update.
    prepare: (image and mask uint8 [B, H, W, 4], key) -> network input float32 [B, H, W, 3] and mask
      uint8 [B, H, W]; augments both when a key is given.
    loss: (logits, labels) -> loss of every image.
    attention_weight: w in loss + w attention_loss.

  Returns:
    The Task. A batch holds `image` uint8 [B, H, W, 4], the fourth channel the mask, and `label`
    int32 [B]; in evaluation the fourth channel may be missing and is not looked at.
  """

  def read(batch: Batch, key: Array | None) -> tuple[Array, tuple[Array, Array]]:
    image, mask = prepare(batch['image'], key)
    return image, (batch['label'], mask)

  def total(outputs: supervised.Outputs, target: tuple[Array, Array]) -> Array:
    (logits, features), (label, mask) = outputs, target
    return loss(logits, label) + attention_weight * attention_loss(features['last_map'], mask)

  def add(sums: Any, per_image: Array, logits: Array, target: tuple[Array, Array]) -> Any:
    return tally.add(sums, per_image, logits, target[0])

  def prepare_image(pixels: Array, key: Array | None) -> Array:
    missing = 4 - pixels.shape[-1]
    return prepare(jnp.pad(pixels, ((0, 0), (0, 0), (0, 0), (0, missing))), key)[0]

  objective = supervised.Objective(
    read, total, partial(tally.empty, num_classes), add, tally.summarise
  )
  return supervised.make_task(model, objective, settings, make_eval_step(model, prepare_image))


def make_eval_step(model: Any, prepare: Prepare) -> Callable[[Any, Batch], dict[str, Array]]:
  """Builds (weights, batch) -> logits [B, K] and pre_logits [B, D], both float32."""

  def eval_step(weights: Any, batch: Batch) -> dict[str, Array]:
    logits, features = model.apply(weights, prepare(batch['image'], None), train=False)
    return {'logits': logits, 'pre_logits': features['pre_logits'].astype(jnp.float32)}

  return eval_step
