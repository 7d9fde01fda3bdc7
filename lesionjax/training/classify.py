"""The classification task: init, train_step and eval_step as pure functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from lesionjax.models.frozen import evaluating, frozen_calls
from lesionjax.training import losses, tally
from lesionjax.training.freezing import merge, split
from lesionjax.training.state import Array, Batch, State, Task

Prepare = Callable[[Array, Array | None], Array]


def make_task(
  model: Any,
  num_classes: int,
  tx: optax.GradientTransformation,
  schedule: optax.Schedule,
  prepare: Prepare,
  *,
  loss: losses.Loss = losses.cross_entropy,
  ema_decay: float = 0.0,
  accumulate: int = 1,
  trainable: frozenset[str] | None = None,
  freeze_batch_stats: bool = True,
) -> Task:
  """Builds the task.

  Args:
    model: a module whose `apply(variables, image, train=...)` returns (logits [B, K], features).
    num_classes: K.
    tx: the optimiser.
    schedule: step -> learning rate, for the record only; `tx` applies it.
    prepare: (image uint8 [B, H, W, 3], key) -> network input float32; augments when a key is
      given, only normalises when it is None.
    loss: (logits, labels) -> loss of every image; a step lowers its mean.
    ema_decay: d in ema = d ema + (1 - d) params; 0 switches it off. Early on d is at most
      (1 + step) / (10 + step), so that the first weights are soon forgotten.
    accumulate: micro-batches whose gradients are averaged before the one update of a step. Batch
      statistics are those of a micro-batch.
    trainable: '/'-joined paths of the parameters that train; None is all. The optimiser sees only
      these, and only these are differentiated, so the others cost no backward pass.
    freeze_batch_stats: whether the frozen part runs in evaluation mode. False leaves its batch
      statistics and dropout in training mode, as PyTorch's `requires_grad = False` does.

  Returns:
    The Task. A batch holds `image` uint8 [B, H, W, 3] and `label` int32 [B].
  """
  parts = _Classification(
    model,
    num_classes,
    tx,
    schedule,
    prepare,
    loss,
    ema_decay,
    accumulate,
    trainable,
    freeze_batch_stats,
  )
  return Task(parts.init, parts.train_step, make_eval_step(model, prepare), parts.start)


@dataclasses.dataclass(frozen=True)
class _Classification:
  """The settings that the pure functions below close over; see `make_task`."""

  model: Any
  num_classes: int
  tx: optax.GradientTransformation
  schedule: optax.Schedule
  prepare: Prepare
  loss: losses.Loss
  ema_decay: float
  accumulate: int
  trainable: frozenset[str] | None
  freeze_batch_stats: bool

  def init(self, key: Array, batch: Batch) -> State:
    """Draws the weights; of the batch only the shape of an image matters."""
    image = self.prepare(batch['image'][:1], None)
    variables = self.model.init(key, image, train=False)
    step = jnp.zeros((), jnp.int32)
    return self.start(variables['params'], variables.get('batch_stats', {}), step)

  def start(self, params, batch_stats, step: Array) -> State:
    """Begins with given weights: optimiser, average and sums are new."""
    return State(
      step=step,
      params=params,
      batch_stats=batch_stats,
      opt_state=self.tx.init(split(params, self.trainable)[0]),
      ema=jax.tree.map(jnp.copy, params) if self.ema_decay else {},
      lr_scale=jnp.ones((), jnp.float32),
      tally=tally.empty(self.num_classes),
    )

  def train_step(self, state: State, batch: Batch, key: Array) -> tuple[State, dict[str, Array]]:
    """Augments, differentiates, updates; metrics are loss, grad_norm and learning_rate."""
    augment_key, dropout_key = jax.random.split(key)
    image = self.prepare(batch['image'], augment_key)
    gradients = self._gradients if self.accumulate == 1 else self._accumulated_gradients
    grads, batch_stats, per_image, logits, label = gradients(
      state, image, batch['label'], dropout_key
    )
    trained, frozen = split(state.params, self.trainable)
    updates, opt_state = self.tx.update(grads, state.opt_state, trained)
    updates = jax.tree.map(lambda u: u * state.lr_scale, updates)
    trained = optax.apply_updates(trained, updates)
    metrics = {
      'loss': per_image.mean(),
      'grad_norm': optax.tree.norm(grads),
      'learning_rate': jnp.asarray(self.schedule(state.step), jnp.float32) * state.lr_scale,
    }
    state = dataclasses.replace(
      state,
      step=state.step + 1,
      params=merge(trained, frozen),
      batch_stats=batch_stats,
      opt_state=opt_state,
      ema=self._average(state.ema, trained, state.step) if self.ema_decay else state.ema,
      tally=tally.add(state.tally, per_image, logits, label),
    )
    return state, metrics

  def _grad(self, params, batch_stats, image, label, key):
    """Gradient of the mean loss, and (new batch statistics, loss of every image, logits)."""
    trained, frozen = split(params, self.trainable)
    # The frozen part is closed over, not differentiated and then masked: with no tangent of its
    # own, it has no backward pass.
    quiet = frozenset()
    if self.trainable is not None and self.freeze_batch_stats:
      variables = {'params': params, 'batch_stats': batch_stats}
      quiet = frozen_calls(self.model, variables, image, self.trainable)

    def loss_fn(trained):
      with evaluating(quiet):
        (logits, _), updates = self.model.apply(
          {'params': merge(trained, frozen), 'batch_stats': batch_stats},
          image,
          train=True,
          mutable=['batch_stats'],
          rngs={'dropout': key},
        )
      per_image = self.loss(logits, label)
      return per_image.mean(), (updates.get('batch_stats', {}), per_image, logits)

    return jax.grad(loss_fn, has_aux=True)(trained)

  def _gradients(self, state: State, image: Array, label: Array, key: Array):
    grads, aux = self._grad(state.params, state.batch_stats, image, label, key)
    return grads, *aux, label

  def _accumulated_gradients(self, state: State, image: Array, label: Array, key: Array):
    def body(carry, xs):
      sums, batch_stats = carry
      grads, (batch_stats, per_image, logits) = self._grad(state.params, batch_stats, *xs)
      return (jax.tree.map(jnp.add, sums, grads), batch_stats), (per_image, logits)

    zeros = jax.tree.map(jnp.zeros_like, split(state.params, self.trainable)[0])
    labels = self._micro_batches(label)
    xs = (self._micro_batches(image), labels, jax.random.split(key, self.accumulate))
    (sums, batch_stats), (per_image, logits) = jax.lax.scan(body, (zeros, state.batch_stats), xs)
    grads = jax.tree.map(lambda g: g / self.accumulate, sums)
    logits = logits.reshape(-1, self.num_classes)
    return grads, batch_stats, per_image.ravel(), logits, labels.ravel()

  def _micro_batches(self, array: Array) -> Array:
    # Image i goes to micro-batch i % accumulate: every device keeps the images it holds.
    return jnp.moveaxis(array.reshape(-1, self.accumulate, *array.shape[1:]), 1, 0)

  def _average(self, ema, trained, step):
    # What is frozen equals its average since the phase began.
    old, frozen = split(ema, self.trainable)
    decay = jnp.minimum(self.ema_decay, (1.0 + step) / (10.0 + step))
    return merge(jax.tree.map(lambda e, p: e + (1.0 - decay) * (p - e), old, trained), frozen)


def make_eval_step(model: Any, prepare: Prepare) -> Callable[[Any, Batch], dict[str, Array]]:
  """Builds (weights, batch) -> logits [B, K] and pre_logits [B, D], both float32."""

  def eval_step(weights: Any, batch: Batch) -> dict[str, Array]:
    logits, features = model.apply(weights, prepare(batch['image'], None), train=False)
    return {'logits': logits, 'pre_logits': features['pre_logits'].astype(jnp.float32)}

  return eval_step
