"""Learning-rate schedules and optimisers, from the configuration."""

from __future__ import annotations

import jax
import optax
from ml_collections import ConfigDict


def make_schedule(
  schedule: ConfigDict, learning_rate: float, steps_per_epoch: int, total_steps: int
) -> optax.Schedule:
  """Returns the learning rate as a function of the step.

  Args:
    schedule: `config.schedule`.
    learning_rate: the peak.
    steps_per_epoch: optimiser steps of an epoch.
    total_steps: optimiser steps of the run.

  Returns:
    step -> learning rate. `plateau` is constant here: the loop lowers `State.lr_scale`.

  References:
    cosine: Loshchilov and Hutter, SGDR, ICLR 2017. one_cycle: Smith and Topin, arXiv 1708.07120,
    with cosine annealing on both sides.
  """
  warmup_steps = round(schedule.warmup_epochs * steps_per_epoch)
  if schedule.name == 'one_cycle':
    rise_steps = max(1, round(schedule.rise_share * total_steps))
    fall_steps = max(1, total_steps - rise_steps)
    rise = optax.cosine_decay_schedule(learning_rate, rise_steps, alpha=1 / 25)
    fall = optax.cosine_decay_schedule(learning_rate, fall_steps, alpha=schedule.final_fraction)
    return optax.join_schedules([lambda step: rise(rise_steps - step), fall], [rise_steps])
  if schedule.name == 'cosine':
    after = optax.cosine_decay_schedule(
      learning_rate, max(1, total_steps - warmup_steps), alpha=schedule.final_fraction
    )
  elif schedule.name == 'step':
    after = optax.exponential_decay(
      learning_rate, schedule.step_epochs * steps_per_epoch, schedule.step_factor, staircase=True
    )
  else:
    after = optax.constant_schedule(learning_rate)
  if not warmup_steps:
    return after
  rise = optax.linear_schedule(0.0, learning_rate, warmup_steps)
  return optax.join_schedules([rise, after], [warmup_steps])


def make_optimiser(
  optimiser: ConfigDict, schedule: optax.Schedule, clip_norm: float = 0.0
) -> optax.GradientTransformation:
  """Returns the gradient transformation of a run.

  Args:
    optimiser: `config.optimiser`.
    schedule: step -> learning rate.
    clip_norm: largest global norm of the gradient; 0 does not clip.

  Returns:
    An optax transformation. Weight decay is decoupled for adamw and added to the gradient (L2) for
    adam and sgd; it never touches vectors (biases, scales of norms), nor a ViT's class
    token and positions.
  """
  decay = optax.add_decayed_weights(optimiser.weight_decay, mask=_matrices)
  rate = optax.scale_by_learning_rate(schedule)
  parts = [optax.clip_by_global_norm(clip_norm)] if clip_norm else []
  adam = optax.scale_by_adam(b1=optimiser.beta1, b2=optimiser.beta2)
  if optimiser.name == 'adamw':
    parts += [adam, decay, rate]
  elif optimiser.name == 'adam':
    parts += [decay, adam, rate]
  else:
    parts += [decay, optax.trace(decay=optimiser.beta1), rate]
  return optax.chain(*parts)


# ViT's, which timm does not decay either.
_NEVER_DECAYED = ('class_token', 'position_embedding')


def _matrices(params):
  def decays(path, leaf):
    return leaf.ndim > 1 and getattr(path[-1], 'key', '') not in _NEVER_DECAYED

  return jax.tree_util.tree_map_with_path(decays, params)
