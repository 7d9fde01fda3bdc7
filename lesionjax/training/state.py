"""The one state of a training run, and the contract of a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax

Array = jax.Array
PyTree = Any
Batch = dict[str, Array]


@flax.struct.dataclass
class State:
  """Everything on the device that the next step depends on.

  Attributes:
    step: int32 scalar, optimiser updates made so far.
    params: the model's parameters.
    batch_stats: running statistics of batch normalisation; empty without any.
    opt_state: state of the optimiser.
    ema: moving average of `params`; empty when switched off.
    lr_scale: float32 scalar that multiplies every update; lowered on a plateau.
    tally: sums since the start of the epoch, from which its training metrics are made.
  """

  step: Array
  params: PyTree
  batch_stats: PyTree
  opt_state: PyTree
  ema: PyTree
  lr_scale: Array
  tally: PyTree

  @property
  def weights(self) -> dict[str, PyTree]:
    """What a prediction needs: the averaged parameters where there are any."""
    return {'params': self.ema or self.params, 'batch_stats': self.batch_stats}


class Task(NamedTuple):
  """Five pure functions that know nothing of files, devices or loops, and a word for the user.

  Attributes:
    init: (key, batch) -> State.
    train_step: (state, batch, key) -> (state, metrics); metrics are float32 scalars, among them
      `loss`, `grad_norm` and `learning_rate`.
    eval_step: (weights, batch) -> outputs of every image, each of leading length B.
    start: (params, batch_stats, step) -> State that begins a phase with these weights.
    summarise: (the state's tally on the host, class names) -> training metrics of an epoch.
    advice: what to change where the loss is not finite.
  """

  init: Callable[[Array, Batch], State]
  train_step: Callable[[State, Batch, Array], tuple[State, dict[str, Array]]]
  eval_step: Callable[[PyTree, Batch], dict[str, Array]]
  start: Callable[[PyTree, PyTree, Array], State]
  summarise: Callable[[PyTree, tuple[str, ...]], dict[str, float]]
  advice: str = 'lower config.optimiser.learning_rate or set config.train.clip_norm'
