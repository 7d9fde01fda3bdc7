"""The generation task: a conditional generator and its discriminator, both updated in one step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lesionjax.training.adversarial_losses import LOSSES
from lesionjax.training.diffaugment import diff_augment
from lesionjax.training.state import Array, Batch, PyTree, State, Task

Prepare = Callable[[Array, Array | None], Array]
_SUMS = ('loss', 'discriminator_loss', 'real_logit', 'fake_logit', 'spread', 'steps')
_ADVICE = (
  'lower config.optimiser.learning_rate (of the generator) or'
  ' config.gan.discriminator_learning_rate, or set config.train.clip_norm'
)
LOWEST_LOSS = 0.01  # of a discriminator that still has something to learn, mean over an epoch
LOWEST_SPREAD = 1e-3  # standard deviation of its logits within a batch, likewise


@dataclasses.dataclass(frozen=True)
class Settings:
  """How the state is updated.

  Attributes:
    generator: its optimiser.
    discriminator: its optimiser.
    schedule: step -> learning rate of the generator, for the record only.
    loss: of `adversarial_losses.LOSSES`.
    r1: weight of the mean squared norm of the discriminator's gradient in real images, halved
      (Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018); 0 = none.
    r1_every: steps from one such penalty to the next, which weighs as many times as much (Karras et
      al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, section 3.1).
    augment: of `diffaugment.NAMES`, before the discriminator.
    augment_strength: of these, in [0, 1].
    discriminator_steps: updates of the discriminator before the generator's one, each on its own
      part of the batch; the generator makes as many images as a part has.
    ema_decay: as in `supervised.Settings`, of the generator.
  """

  generator: optax.GradientTransformation
  discriminator: optax.GradientTransformation
  schedule: optax.Schedule
  loss: str = 'hinge'
  r1: float = 0.0
  r1_every: int = 1
  augment: tuple[str, ...] = ()
  augment_strength: float = 1.0
  discriminator_steps: int = 1
  ema_decay: float = 0.0


def make_task(model: Any, settings: Settings, prepare: Prepare) -> Task:
  """Builds the task.

  Args:
    model: of `lesionjax.models.generation`.
    settings: of the update.
    prepare: (image uint8 [B, S, S, 3], key) -> float32 in [-1, 1]; augments when a key is given.

  Returns:
    The Task. A batch holds `image` uint8 [B, S, S, 3] and `label` int32 [B]; in evaluation
    `index`, too, from which latents are drawn.
  """
  update = _Update(model, settings, prepare)
  eval_step = make_eval_step(model, prepare)
  return Task(update.init, update.train_step, eval_step, update.start, summarise_tally, _ADVICE)


@dataclasses.dataclass(frozen=True)
class _Update:
  """The pure functions of the task, which close over its model and settings."""

  model: Any
  settings: Settings
  prepare: Prepare

  def init(self, key: Array, batch: Batch) -> State:
    """Draws the weights; of the batch only the shape of an image matters."""
    image = self.prepare(batch['image'][:1], None)
    variables = self.model.init(key, image, train=False)
    step = jnp.zeros((), jnp.int32)
    return self.start(variables['params'], variables.get('batch_stats', {}), step)

  def start(self, params: PyTree, batch_stats: PyTree, step: Array) -> State:
    """Begins with given weights: optimisers, average and sums are new."""
    settings = self.settings
    return State(
      step=step,
      params=params,
      batch_stats=batch_stats,
      opt_state={
        'generator': settings.generator.init(params['generator']),
        'discriminator': settings.discriminator.init(params['discriminator']),
      },
      ema=jax.tree.map(jnp.copy, params) if settings.ema_decay else {},
      lr_scale=jnp.ones((), jnp.float32),
      tally={name: jnp.zeros((), jnp.float32) for name in _SUMS},
    )

  def train_step(self, state: State, batch: Batch, key: Array) -> tuple[State, dict[str, Array]]:
    """Updates the discriminator, once or several times, then the generator."""
    count = self.settings.discriminator_steps
    image_key, generator_key, *keys = jax.random.split(key, 2 + count)
    image = self.prepare(batch['image'], image_key)
    # Image i goes to part i % count: every device keeps the images it holds.
    parts = [(image[at::count], batch['label'][at::count]) for at in range(count)]
    for part, part_key in zip(parts, keys, strict=True):
      state, judged = self._update_discriminator(state, *part, part_key)
    state, made = self._update_generator(state, parts[-1][1], generator_key)
    metrics = {**judged, **made}
    spread, other = metrics.pop('spread'), metrics.pop('discriminator_grad_norm')
    metrics['grad_norm'] = jnp.hypot(metrics['grad_norm'], other)
    sums = {**metrics, 'spread': spread, 'steps': jnp.ones(())}
    tally = {name: state.tally[name] + sums[name] for name in _SUMS}
    return dataclasses.replace(state, step=state.step + 1, tally=tally), metrics

  def _update_discriminator(self, state: State, real: Array, label: Array, key: Array):
    latent_key, *keys = jax.random.split(key, 3)
    fake, _ = self._generate(state.params, state.batch_stats, label, latent_key)
    loss = LOSSES[self.settings.loss].discriminator

    def loss_fn(params: PyTree):
      images, labels = jnp.concatenate((real, fake)), jnp.concatenate((label, label))
      logits, stats = self._judge(params, state.batch_stats, images, labels, keys)
      of_real, of_fake = jnp.split(logits, 2)
      per_image = loss(of_real, of_fake)
      total = per_image.mean()
      if self.settings.r1:
        total += self._weighted_penalty(params, state, real, label, keys)
      return total, (per_image.mean(), of_real, of_fake, stats)

    params = state.params['discriminator']
    grads, (mean, of_real, of_fake, stats) = jax.grad(loss_fn, has_aux=True)(params)
    state = self._apply(state, 'discriminator', grads)
    return _with_stats(state, 'discriminator', stats), {
      'discriminator_loss': mean,
      'real_logit': of_real.mean(),
      'fake_logit': of_fake.mean(),
      'discriminator_grad_norm': optax.tree.norm(grads),
      'spread': jnp.concatenate((of_real, of_fake)).std(),
    }

  def _update_generator(self, state: State, label: Array, key: Array):
    latent_key, *keys = jax.random.split(key, 3)
    loss = LOSSES[self.settings.loss].generator

    def loss_fn(generator: PyTree):
      params = {**state.params, 'generator': generator}
      fake, stats = self._generate(params, state.batch_stats, label, latent_key)
      # The discriminator drops out as it does when it learns; its statistics are its own affair.
      logits, _ = self._judge(params['discriminator'], state.batch_stats, fake, label, keys)
      return loss(logits).mean(), stats

    value_and_grad = jax.value_and_grad(loss_fn, has_aux=True)
    (value, stats), grads = value_and_grad(state.params['generator'])
    step = state.step
    state = _with_stats(self._apply(state, 'generator', grads), 'generator', stats)
    if self.settings.ema_decay:
      state = dataclasses.replace(state, ema=self._average(state))
    rate = jnp.asarray(self.settings.schedule(step), jnp.float32)
    metrics = {'loss': value, 'grad_norm': optax.tree.norm(grads)}
    return state, {**metrics, 'learning_rate': rate * state.lr_scale}

  def _generate(self, params: PyTree, stats: PyTree, label: Array, key: Array):
    """Images float32 [B, S, S, 3] of new latents, and the generator's new statistics."""
    latent = jax.random.normal(key, (label.shape[0], self.model.latent))
    variables = {'params': {'generator': params['generator']}, 'batch_stats': stats}
    return self.model.apply(
      variables, latent, label, True, method='generate', mutable=['batch_stats']
    )

  def _judge(self, params: PyTree, stats: PyTree, image: Array, label: Array, keys: list[Array]):
    """Logits [B] of augmented images, and the discriminator's new statistics."""
    augment_key, dropout_key = keys
    settings = self.settings
    image = diff_augment(image, augment_key, settings.augment, settings.augment_strength)
    return self._logits(params, stats, image, label, dropout_key)

  def _logits(self, params: PyTree, stats: PyTree, image: Array, label: Array, key: Array):
    variables = {'params': {'discriminator': params}, 'batch_stats': stats}
    return self.model.apply(
      variables, image, label, True, method='discriminate', mutable=['batch_stats'],
      rngs={'dropout': key},
    )  # fmt: skip

  def _weighted_penalty(
    self, params: PyTree, state: State, real: Array, label: Array, keys: list[Array]
  ) -> Array:
    """The penalty as it is added to the loss: 0 in the steps between."""
    every = self.settings.r1_every
    due = state.step % every == 0
    penalty = jax.lax.cond(
      due, lambda: self._penalty(params, state, real, label, keys), lambda: jnp.zeros(())
    )
    return 0.5 * self.settings.r1 * every * penalty

  def _penalty(self, params: PyTree, state: State, real: Array, label: Array, keys: list[Array]):
    """Mean over real images of the squared norm of the logit's gradient, as Zhao's code has it."""
    settings = self.settings
    seen = diff_augment(real, keys[0], settings.augment, settings.augment_strength)

    def total(image: Array) -> Array:
      return self._logits(params, state.batch_stats, image, label, keys[1])[0].sum()

    return jnp.square(jax.grad(total)(seen)).sum((1, 2, 3)).mean()

  def _apply(self, state: State, side: str, grads: PyTree) -> State:
    """The state after one step of the optimiser of a side."""
    tx = getattr(self.settings, side)
    updates, opt_state = tx.update(grads, state.opt_state[side], state.params[side])
    updates = jax.tree.map(lambda u: u * state.lr_scale, updates)
    params = optax.apply_updates(state.params[side], updates)
    return dataclasses.replace(
      state,
      params={**state.params, side: params},
      opt_state={**state.opt_state, side: opt_state},
    )

  def _average(self, state: State) -> PyTree:
    """The generator's moving average; the discriminator beside it is the last one."""
    decay = jnp.minimum(self.settings.ema_decay, (1.0 + state.step) / (10.0 + state.step))
    new, old = state.params['generator'], state.ema['generator']
    average = jax.tree.map(lambda e, p: e + (1.0 - decay) * (p - e), old, new)
    return {'generator': average, 'discriminator': state.params['discriminator']}


def _with_stats(state: State, side: str, found: PyTree) -> State:
  """Takes the statistics of one side over from a call; some have none."""
  stats = found.get('batch_stats', {})
  if side not in stats:
    return state
  return dataclasses.replace(state, batch_stats={**state.batch_stats, side: stats[side]})


def make_eval_step(model: Any, prepare: Prepare) -> Callable[[PyTree, Batch], dict[str, Array]]:
  """Builds (weights, batch) -> real_logit and fake_logit float32 [B].

  The generated image beside every real one has its label and a latent of its own, the same at
  every call.
  """

  def eval_step(weights: PyTree, batch: Batch) -> dict[str, Array]:
    label = batch['label']
    latent = latents(0, batch['index'], model.latent)
    fake = model.apply(weights, latent, label, False, method='generate')
    real = prepare(batch['image'], None)
    logits = {
      name: model.apply(weights, image, label, False, method='discriminate')
      for name, image in (('real_logit', real), ('fake_logit', fake))
    }
    return logits

  return eval_step


def latents(seed: int, index: Array, size: int) -> Array:
  """Standard normal latents float32 [B, size]; row i is a function of (seed, index[i]) alone."""
  keys = jax.vmap(jax.random.fold_in, (None, 0))(
    jax.random.key(seed), jnp.asarray(index).astype(jnp.uint32)
  )
  return jax.vmap(lambda key: jax.random.normal(key, (size,)))(keys)


def summarise_tally(
  tally: dict[str, np.ndarray], class_names: tuple[str, ...] = ()
) -> dict[str, float]:
  """Turns the sums of an epoch into means over its steps."""
  del class_names
  steps = max(float(tally['steps']), 1.0)
  return {name: float(tally[name]) / steps for name in _SUMS if name != 'steps'}


def collapse(means: Mapping[str, float]) -> str:
  """Says whether a discriminator has collapsed over an epoch.

  Args:
    means: from `summarise_tally`.

  Returns:
    What happened, or '': its mean loss lies below `LOWEST_LOSS`, so that it errs no more and has
    nothing to teach, or the spread of its logits within a batch below `LOWEST_SPREAD`, so that it
    tells no image from another.
  """
  loss, spread = means['discriminator_loss'], means['spread']
  if loss < LOWEST_LOSS:
    return f'always wins (mean loss {loss:.2g} over the epoch, below {LOWEST_LOSS:g})'
  if spread < LOWEST_SPREAD:
    return (
      f'says the same of every image (logits spread by {spread:.2g} within a batch, below'
      f' {LOWEST_SPREAD:g})'
    )
  return ''
