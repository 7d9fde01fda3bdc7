"""From a configuration to the pieces of a run: data, model, task, plan."""

from __future__ import annotations

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax.data import memory
from lesionjax.data.augment import augment, normalise
from lesionjax.data.datasets import names_of, open_split, provenance
from lesionjax.data.features import feature_stream
from lesionjax.data.records import Split
from lesionjax.data.stream import eval_stream, to_device, train_stream
from lesionjax.models import build_model
from lesionjax.models.parts import head_of
from lesionjax.phases import Phase, augment_options
from lesionjax.training.cached import on_features
from lesionjax.training.classify import Prepare, make_task
from lesionjax.training.loop import Plan
from lesionjax.training.losses import make_loss
from lesionjax.training.mesh import Mesh
from lesionjax.training.optimiser import make_optimiser, make_schedule
from lesionjax.training.progress import Rules
from lesionjax.training.state import Task


def ensure_data(config: ConfigDict) -> None:
  """Builds the data set where it is missing and that needs no download.

  That is: a synthetic one, or one whose archives `config.data.manual_dir` holds.
  """
  from data_builders.build import prepare

  for name in names_of(config.data.name):
    if config.data.manual_dir or name.startswith('synthetic'):
      prepare(name, config.data.data_dir or None, manual_dir=config.data.manual_dir or None)


def open_data(config: ConfigDict, split: str, name: str = '') -> Split:
  """Opens a split of the run's data, or of the data set `name` with that one's own classes."""
  return open_split(
    name or config.data.name,
    split,
    config.data.data_dir or None,
    '' if name else config.data.classes,
    config.data.preprocess,
  )


def describe_data(config: ConfigDict, name: str = '') -> dict[str, Any]:
  """Returns what a run remembers of its data, or of the data set `name`."""
  return provenance(
    name or config.data.name,
    config.data.data_dir or None,
    '' if name else config.data.classes,
    config.data.preprocess,
  )


def decoded(config: ConfigDict, split: Split) -> np.ndarray | None:
  """Returns all images of a split where `config.data.input` keeps them in memory, else None."""
  if config.data.input == 'stream':
    return None
  return memory.decode_all(split, config.data.size_px, config.data.num_threads or None)


def train_batches(
  config: ConfigDict, split: Split, mesh: Mesh, pixels: np.ndarray | None = None
) -> Any:
  """Returns the endless, resumable iterator of training batches on the devices.

  Args:
    config: of the run.
    split: what it trains on.
    mesh: where the batches go.
    pixels: from `decoded`.
  """
  on_device = config.data.input == 'device'
  dataset = train_stream(
    split,
    config.train.batch_size,
    config.data.size_px,
    config.seed,
    config.data.sampling,
    **_share(config),
    pixels=pixels,
    images=not on_device,
  )
  if not on_device:
    # The row number stays on the host: it has 64 bits and the step does not need it.
    dataset = dataset.map(lambda batch: {key: batch[key] for key in ('image', 'label')})
    return iter(to_device(dataset, mesh.batch))
  assert pixels is not None
  resident = memory.place(pixels, mesh.replicated)
  dataset = dataset.map(
    lambda batch: {'index': batch['index'].astype(np.int32), 'label': batch['label']}
  )
  return iter(to_device(dataset, mesh.batch).map(lambda batch: {**batch, 'resident': resident}))


def feature_batches(config: ConfigDict, features: Any, labels: np.ndarray, mesh: Mesh) -> Any:
  """Returns `train_batches` of features instead of images; takes the same positions."""
  share = _share(config)
  dataset = feature_stream(
    features,
    labels,
    config.train.batch_size,
    config.seed,
    config.data.sampling,
    process_index=share['process_index'],
    process_count=share['process_count'],
  )
  return iter(to_device(dataset, mesh.batch))


def eval_batches(
  config: ConfigDict, split: Split, mesh: Mesh, pixels: np.ndarray | None = None
) -> Any:
  """Returns the iterator over every image of a split once, on the devices."""
  dataset = eval_stream(
    split,
    config.evaluate.batch_size,
    config.data.size_px,
    **_share(config),
    pixels=pixels,
  )
  dataset = dataset.map(lambda batch: {key: batch[key] for key in ('image', 'valid')})
  return iter(to_device(dataset, mesh.batch))


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
  return build_model(config.model.name, num_classes, dtype, **config.model.arguments.to_dict())


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
  if len(split) < config.train.batch_size:
    raise UserError(
      f'config.train.batch_size={config.train.batch_size} is larger than the {len(split)} images '
      f'of {split.name} ({split.split}); use at most that.'
    )
  steps_per_epoch = len(split) // config.train.batch_size
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
  )


def make_classifier(
  phase: Phase, num_classes: int, plan: Plan, trainable: frozenset[str] | None = None
) -> Task:
  """Returns the classification task of a phase.

  Args:
    phase: its settings.
    num_classes: K.
    plan: its counts.
    trainable: paths of the parameters that train; None is all.
  """
  config, first_step = phase.config, plan.first_step
  rate = make_schedule(
    config.schedule,
    config.optimiser.learning_rate,
    plan.steps_per_epoch,
    plan.total_steps - first_step,
  )
  tx = make_optimiser(config.optimiser, rate, config.train.clip_norm)
  loss = make_loss(
    config.train.loss, num_classes, config.train.label_smoothing, config.train.pos_weight
  )

  def task_of(model: Any, prepare: Prepare) -> Task:
    """The task of the whole network or of its head alone: all but model and input is the same."""
    return make_task(
      model,
      num_classes,
      tx,
      # The optimiser counts the phase's steps, the record the run's.
      (lambda step: rate(step - first_step)) if first_step else rate,
      prepare,
      loss=loss,
      ema_decay=config.train.ema_decay,
      accumulate=config.train.accumulate,
      trainable=trainable,
      freeze_batch_stats=phase.freeze_batch_stats,
    )

  model = make_model(config, num_classes)
  whole = task_of(model, make_prepare(config))
  if config.data.input == 'device':
    step = whole.train_step
    whole = whole._replace(
      train_step=lambda state, batch, key: step(state, memory.gather(batch), key)
    )
  if not phase.cache_features:
    return whole
  return on_features(whole, task_of(head_of(model), lambda features, key: features))


def _share(config: ConfigDict) -> dict[str, int]:
  """Which part of every batch this process reads, and with how many threads."""
  return {
    'process_index': jax.process_index(),
    'process_count': jax.process_count(),
    'num_threads': config.data.num_threads or os.cpu_count() or 1,
  }
