"""What every task that learns from labelled images has in common: one update of the state."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lesionjax.models.frozen import evaluating, frozen_calls
from lesionjax.training.freezing import merge, split
from lesionjax.training.state import Array, Batch, PyTree, State, Task

Outputs = tuple[Array, dict[str, Any]]


class Objective(NamedTuple):
  """What makes a task of its own: what it reads, lowers and counts.

  Attributes:
    read: (batch, key) -> (network input float32 [B, H, W, C], target, a tree of leading length B);
      augments when a key is given, only normalises when it is None.
    loss: ((logits, features), target) -> loss of every image, [B]; a step lowers its mean.
    empty: () -> sums at the start of an epoch.
    add: (sums, loss [B], logits, target) -> sums with one batch more.
    summarise: (sums on the host, class names) -> training metrics of the epoch.
  """

  read: Callable[[Batch, Array | None], tuple[Array, PyTree]]
  loss: Callable[[Outputs, PyTree], Array]
  empty: Callable[[], PyTree]
  add: Callable[[PyTree, Array, Array, PyTree], PyTree]
  summarise: Callable[[PyTree, tuple[str, ...]], dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Settings:
  """How the state is updated, whatever the task.

  Attributes:
    tx: the optimiser.
    schedule: step -> learning rate, for the record only; `tx` applies it.
    ema_decay: d in ema = d ema + (1 - d) params; 0 switches it off. Early on d is at most
      (1 + step) / (10 + step), so that the first weights are soon forgotten.
    accumulate: micro-batches whose gradients are averaged before the one update of a step. Batch
      statistics are those of a micro-batch.
    trainable: '/'-joined paths of the parameters that train; None is all. The optimiser sees only
      these, and only these are differentiated, so the others cost no backward pass.
    freeze_batch_stats: whether the frozen part runs in evaluation mode. False leaves its batch
      statistics and dropout in training mode, as PyTorch's `requires_grad = False` does.
  """

  tx: optax.GradientTransformation
  schedule: optax.Schedule
  ema_decay: float = 0.0
  accumulate: int = 1
  trainable: frozenset[str] | None = None
  freeze_batch_stats: bool = True


def make_task(
  model: Any,
  objective: Objective,
  settings: Settings,
  eval_step: Callable[[PyTree, Batch], dict[str, Array]],
) -> Task:
  """Builds a task.

  Args:
    model: a module whose `apply(variables, image, train=...)` returns (logits, features).
    objective: what the task reads, lowers and counts.
    settings: of the update.
    eval_step: (weights, batch) -> outputs of every image.
  """
  update = _Update(model, objective, settings)
  return Task(update.init, update.train_step, eval_step, update.start, objective.summarise)


@dataclasses.dataclass(frozen=True)
class _Update:
  """The pure functions of a task, which close over its model, objective and settings."""

  model: Any
  objective: Objective
  settings: Settings

  def init(self, key: Array, batch: Batch) -> State:
    """Draws the weights; of the batch only the shape of an image matters."""
    image, _ = self.objective.read(jax.tree.map(lambda leaf: leaf[:1], batch), None)
    variables = self.model.init(key, image, train=False)
    step = jnp.zeros((), jnp.int32)
    return self.start(variables['params'], variables.get('batch_stats', {}), step)

  def start(self, params, batch_stats, step: Array) -> State:
    """Begins with given weights: optimiser, average and sums are new."""
    settings = self.settings
    return State(
      step=step,
      params=params,
      batch_stats=batch_stats,
      opt_state=settings.tx.init(split(params, settings.trainable)[0]),
      ema=jax.tree.map(jnp.copy, params) if settings.ema_decay else {},
      lr_scale=jnp.ones((), jnp.float32),
      tally=self.objective.empty(),
    )

  def train_step(self, state: State, batch: Batch, key: Array) -> tuple[State, dict[str, Array]]:
    """Augments, differentiates, updates; metrics are loss, grad_norm and learning_rate."""
    settings = self.settings
    augment_key, dropout_key = jax.random.split(key)
    image, target = self.objective.read(batch, augment_key)
    gradients = self._gradients if settings.accumulate == 1 else self._accumulated_gradients
    grads, batch_stats, per_image, logits, target = gradients(state, image, target, dropout_key)
    trained, frozen = split(state.params, settings.trainable)
    updates, opt_state = settings.tx.update(grads, state.opt_state, trained)
    updates = jax.tree.map(lambda u: u * state.lr_scale, updates)
    trained = optax.apply_updates(trained, updates)
    metrics = {
      'loss': per_image.mean(),
      'grad_norm': optax.tree.norm(grads),
      'learning_rate': jnp.asarray(settings.schedule(state.step), jnp.float32) * state.lr_scale,
    }
    state = dataclasses.replace(
      state,
      step=state.step + 1,
      params=merge(trained, frozen),
      batch_stats=batch_stats,
      opt_state=opt_state,
      ema=self._average(state.ema, trained, state.step) if settings.ema_decay else state.ema,
      tally=self.objective.add(state.tally, per_image, logits, target),
    )
    return state, metrics

  def _grad(self, params, batch_stats, image, target, key):
    """Gradient of the mean loss, and (new batch statistics, loss of every image, logits)."""
    trainable = self.settings.trainable
    trained, frozen = split(params, trainable)
    # The frozen part is closed over, not differentiated and then masked: with no tangent of its
    # own, it has no backward pass.
    quiet = frozenset()
    if trainable is not None and self.settings.freeze_batch_stats:
      variables = {'params': params, 'batch_stats': batch_stats}
      quiet = frozen_calls(self.model, variables, image, trainable)

    def loss_fn(trained):
      with evaluating(quiet):
        outputs, updates = self.model.apply(
          {'params': merge(trained, frozen), 'batch_stats': batch_stats},
          image,
          train=True,
          mutable=['batch_stats'],
          rngs={'dropout': key},
        )
      per_image = self.objective.loss(outputs, target)
      return per_image.mean(), (updates.get('batch_stats', {}), per_image, outputs[0])

    return jax.grad(loss_fn, has_aux=True)(trained)

  def _gradients(self, state: State, image: Array, target: PyTree, key: Array):
    grads, aux = self._grad(state.params, state.batch_stats, image, target, key)
    return grads, *aux, target

  def _accumulated_gradients(self, state: State, image: Array, target: PyTree, key: Array):
    count = self.settings.accumulate

    def body(carry, xs):
      sums, batch_stats = carry
      grads, (batch_stats, per_image, logits) = self._grad(state.params, batch_stats, *xs)
      return (jax.tree.map(jnp.add, sums, grads), batch_stats), (per_image, logits)

    zeros = jax.tree.map(jnp.zeros_like, split(state.params, self.settings.trainable)[0])
    image, target = jax.tree.map(self._micro_batches, (image, target))
    xs = (image, target, jax.random.split(key, count))
    (sums, batch_stats), outputs = jax.lax.scan(body, (zeros, state.batch_stats), xs)
    grads = jax.tree.map(lambda g: g / count, sums)
    per_image, logits, target = jax.tree.map(
      lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), (*outputs, target)
    )
    return grads, batch_stats, per_image, logits, target

  def _micro_batches(self, array: Array) -> Array:
    # Image i goes to micro-batch i % accumulate: every device keeps the images it holds.
    count = self.settings.accumulate
    return jnp.moveaxis(array.reshape(-1, count, *array.shape[1:]), 1, 0)

  def _average(self, ema, trained, step):
    # What is frozen equals its average since the phase began.
    old, frozen = split(ema, self.settings.trainable)
    decay = jnp.minimum(self.settings.ema_decay, (1.0 + step) / (10.0 + step))
    return merge(jax.tree.map(lambda e, p: e + (1.0 - decay) * (p - e), old, trained), frozen)
