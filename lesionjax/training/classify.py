"""The classification task: logits of an image against its label."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp

from lesionjax.training import losses, supervised, tally
from lesionjax.training.state import Array, Batch, Task

Prepare = Callable[[Array, Array | None], Array]


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


def make_eval_step(model: Any, prepare: Prepare) -> Callable[[Any, Batch], dict[str, Array]]:
  """Builds (weights, batch) -> logits [B, K] and pre_logits [B, D], both float32."""

  def eval_step(weights: Any, batch: Batch) -> dict[str, Array]:
    logits, features = model.apply(weights, prepare(batch['image'], None), train=False)
    return {'logits': logits, 'pre_logits': features['pre_logits'].astype(jnp.float32)}

  return eval_step
