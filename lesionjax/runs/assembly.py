"""From a configuration to the pieces of a run: model, task, plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax.data import memory, synthetic
from lesionjax.data.augment import augment, augment_with_mask, normalise
from lesionjax.data.records import Split
from lesionjax.models import build_model
from lesionjax.models.generation import build_gan
from lesionjax.models.parts import head_of
from lesionjax.models.segmentation.table import build_segmenter
from lesionjax.runs.phases import Phase, augment_options
from lesionjax.training import adversarial, classify, segment
from lesionjax.training.cached import on_features
from lesionjax.training.classify import Prepare, PrepareWithMask
from lesionjax.training.label_loss import make_label_loss
from lesionjax.training.loop import Plan
from lesionjax.training.optimiser import make_optimiser, make_schedule
from lesionjax.training.progress import Rules
from lesionjax.training.segmentation_losses import SegmentationLoss, make_segmentation_loss
from lesionjax.training.state import Batch, Task
from lesionjax.training.supervised import Settings


def make_prepare_with_mask(config: ConfigDict) -> PrepareWithMask:
  """Returns `make_prepare` of an image and its mask, the fourth channel."""
  options = augment_options(config)
  mean, std = tuple(config.normalise.mean), tuple(config.normalise.std)

  def prepare(pixels: jax.Array, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    image, mask = pixels[..., :3], pixels[..., 3]
    if key is None:
      return normalise(image.astype(jnp.float32) / 255.0, mean, std), mask
    image, mask = augment_with_mask(image, mask, key, options)
    return normalise(image, mean, std), mask

  return prepare


def make_prepare(config: ConfigDict) -> Prepare:
  """Returns the device's part of the input: augmentation when a key is given, normalisation."""
  options = augment_options(config)
  mean, std = tuple(config.normalise.mean), tuple(config.normalise.std)

  def prepare(image: jax.Array, key: jax.Array | None) -> jax.Array:
    if key is None:
      return normalise(image.astype(jnp.float32) / 255.0, mean, std)
    return normalise(augment(image, key, options), mean, std)

  return prepare


def make_model(config: ConfigDict, num_classes: int) -> Any:
  """Returns the module that `config.model` names."""
  dtype = jnp.dtype(config.model.dtype)
  arguments = config.model.arguments.to_dict()
  if config.task == 'segment':
    return build_segmenter(config.model.name, dtype=dtype, **arguments)
  if config.task == 'generate':
    size, latent = config.data.size_px, config.gan.latent
    return build_gan(config.model.name, num_classes, size, latent, dtype, **arguments)
  return build_model(config.model.name, num_classes, dtype, **arguments)


def make_eval_step(config: ConfigDict, model: Any) -> Callable[[Any, Batch], dict[str, jax.Array]]:
  """Returns (weights, batch) -> outputs of every image, for the task of the configuration."""
  if config.task == 'segment':
    return segment.make_eval_step(model, make_prepare_with_mask(config))
  if config.task == 'generate':
    return adversarial.make_eval_step(model, make_prepare(config))
  return classify.make_eval_step(model, make_prepare(config))


def make_plan(
  config: ConfigDict, split: Split, profile_dir: str = '', first_step: int = 0, phase: str = ''
) -> Plan:
  """Counts the steps of a phase on a training split.

  Args:
    config: of the phase.
    split: what it trains on.
    profile_dir: where a trace goes.
    first_step: optimiser steps before the phase.
    phase: its name.
  """
  # Generated images add no steps: all ways to treat unequal classes train equally long.
  real = int((~synthetic.is_generated(split)).sum())
  if real < config.train.batch_size:
    raise UserError(
      f'config.train.batch_size={config.train.batch_size} is larger than the {real} images '
      f'of {split.name} ({split.split}){"" if real == len(split) else " that are not generated"}; '
      'use at most that.'
    )
  steps_per_epoch = real // config.train.batch_size
  plateau = config.schedule.name == 'plateau'
  return Plan(
    steps_per_epoch=steps_per_epoch,
    total_steps=first_step + steps_per_epoch * config.train.epochs,
    batch_size=config.train.batch_size,
    log_every_steps=config.log.every_steps,
    checkpoint_every_steps=config.checkpoint.every_steps,
    rules=Rules(
      metric=config.select.metric,
      patience_epochs=config.select.patience_epochs,
      plateau_epochs=config.schedule.plateau_epochs if plateau else 0,
      plateau_factor=config.schedule.plateau_factor,
      plateau_floor=config.schedule.plateau_floor / config.optimiser.learning_rate,
    ),
    class_names=split.class_names,
    profile_dir=profile_dir,
    first_step=first_step,
    phase=phase,
    class_counts=_count_classes(config, split),
  )


def make_task(
  phase: Phase, num_classes: int, plan: Plan, trainable: frozenset[str] | None = None
) -> Task:
  """Returns the task of a phase.

  Args:
    phase: its settings.
    num_classes: K of a classifier.
    plan: its counts.
    trainable: paths of the parameters that train; None is all.
  """
  config = phase.config
  settings = _make_settings(phase, plan, trainable)
  model = make_model(config, num_classes)
  if config.task == 'generate':
    whole = adversarial.make_task(model, _adversarial(config, settings, plan), make_prepare(config))
  elif config.task == 'segment':
    whole = segment.make_task(
      model,
      settings,
      make_prepare_with_mask(config),
      _make_mask_loss(config),
      config.train.auxiliary_weight,
    )
  else:
    whole = _make_classifier(config, num_classes, settings, model, plan)
  if config.data.input == 'device':
    step = whole.train_step
    whole = whole._replace(
      train_step=lambda state, batch, key: step(state, memory.gather(batch), key)
    )
  if not phase.cache_features:
    return whole
  loss = make_label_loss(config.train, plan.class_names, plan.class_counts)
  head = classify.make_task(
    head_of(model), num_classes, settings, lambda features, key: features, loss
  )
  return on_features(whole, head)


def _count_classes(config: ConfigDict, split: Split) -> tuple[int, ...]:
  """Training images of every class; a segmenter has no use for them."""
  if config.task != 'classify':
    return ()
  counts = np.bincount(split.labels[split.labels >= 0], minlength=len(split.class_names))
  return tuple(counts.tolist())


def _make_settings(phase: Phase, plan: Plan, trainable: frozenset[str] | None) -> Settings:
  config, first_step = phase.config, plan.first_step
  rate = make_schedule(
    config.schedule,
    config.optimiser.learning_rate,
    plan.steps_per_epoch,
    plan.total_steps - first_step,
  )
  return Settings(
    tx=make_optimiser(config.optimiser, rate, config.train.clip_norm),
    # The optimiser counts the phase's steps, the record the run's.
    schedule=(lambda step: rate(step - first_step)) if first_step else rate,
    ema_decay=config.train.ema_decay,
    accumulate=config.train.accumulate,
    trainable=trainable,
    freeze_batch_stats=phase.freeze_batch_stats,
  )


def _adversarial(config: ConfigDict, settings: Settings, plan: Plan) -> adversarial.Settings:
  """The settings of two updates: the discriminator's differ in the learning rate."""
  gan = config.gan
  rate = make_schedule(
    config.schedule, gan.discriminator_learning_rate, plan.steps_per_epoch, plan.total_steps
  )
  return adversarial.Settings(
    generator=settings.tx,
    discriminator=make_optimiser(config.optimiser, rate, config.train.clip_norm),
    schedule=settings.schedule,
    loss=gan.loss,
    r1=gan.r1,
    r1_every=gan.r1_every,
    augment=tuple(gan.augment),
    augment_strength=gan.augment_strength,
    discriminator_steps=gan.discriminator_steps,
    ema_decay=config.train.ema_decay,
  )


def _make_classifier(
  config: ConfigDict, num_classes: int, settings: Settings, model: Any, plan: Plan
) -> Task:
  loss = make_label_loss(config.train, plan.class_names, plan.class_counts)
  if config.data.lesion == 'attention':
    prepare, weight = make_prepare_with_mask(config), config.train.auxiliary_weight
    return classify.make_attentive_task(model, num_classes, settings, prepare, loss, weight)
  return classify.make_task(model, num_classes, settings, make_prepare(config), loss)


def _make_mask_loss(config: ConfigDict) -> SegmentationLoss:
  settings = {'pos_weight': config.train.pos_weight} if config.train.loss == 'bce' else {}
  return make_segmentation_loss(config.train.loss, **settings)
