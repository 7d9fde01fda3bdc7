"""--dry_run: what a run would be, without training."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from lesionjax.config import image_size
from lesionjax.runs import held_out, starting, two_stage
from lesionjax.runs.assembly import make_task
from lesionjax.runs.pieces import Pieces
from lesionjax.training.checkpoints import shapes
from lesionjax.training.freezing import split


def describe(config: ConfigDict) -> str:
  """Describes a run without training: shapes, parameters, memory, steps; a first stage, too.

  Args:
    config: the complete configuration.

  Returns:
    Lines of text.

  Raises:
    UserError: on a mistake in configuration or data.
  """
  two_stage.check(config)
  if config.segmenter is None:
    return '\n'.join(_lines(config))
  second = _lines(config)  # its mistakes first: it is what was asked for
  return '\n'.join(
    [
      'first stage, config.segmenter:',
      *_lines(two_stage.segmenter_config(config)),
      '',
      'second stage, on its masks:',
      *second,
    ]
  )


def _lines(config: ConfigDict) -> list[str]:
  """Describes one stage."""
  pieces = Pieces.of(config)
  starting.check(pieces)
  held_out.check(pieces)
  init_key, _ = pieces.keys
  state = jax.eval_shape(pieces.task.init, init_key, pieces.batch_like)
  count = config.train.batch_size
  batch = {
    'image': jax.ShapeDtypeStruct((count, *image_size(config), pieces.train.channels), np.uint8),
    'label': jax.ShapeDtypeStruct((count,), np.int32),
  }
  lines = [f'{"parameter":<60} {"shape":>20} {"count":>12}']
  for name, shape in shapes(state.params).items():
    lines.append(f'{name:<60} {shape!s:>20} {int(np.prod(shape)):>12,}')
  total = sum(leaf.size for leaf in jax.tree.leaves(state.params))
  stats = sum(leaf.size for leaf in jax.tree.leaves(state.batch_stats))
  memory = _memory_of_largest_step(pieces, batch)
  lines += [
    f'model {config.model.name}: {total:,} parameters, {stats:,} batch statistics',
    f'batch: image uint8 {batch["image"].shape}, label int32 {batch["label"].shape}, over '
    f'{pieces.mesh.num_devices} {jax.default_backend()} device(s)',
    f'data: {pieces.train.name}: {len(pieces.train)} training and {len(pieces.validation)} '
    f'validation images, {len(pieces.train.class_names)} classes',
    *_steps(pieces, total, state.params),
  ]
  if memory is not None:
    megabytes = (memory.argument_size_in_bytes + memory.temp_size_in_bytes) / 2**20
    lines.append(f'memory of a step on one device holding the whole batch: {megabytes:,.0f} MiB')
  return lines


def _steps(pieces: Pieces, total: int, params: Any) -> list[str]:
  """One line a phase: how long it is and how much of the network it trains."""
  per_epoch, lines = pieces.plan.steps_per_epoch, []
  for phase, trainable in zip(pieces.phases, pieces.trainable, strict=True):
    epochs = phase.config.train.epochs
    line = f'steps: {per_epoch * epochs} = {epochs} epochs x {per_epoch}'
    if phase.name:
      part, _ = split(params, trainable)
      count = sum(leaf.size for leaf in jax.tree.leaves(part))
      stored = ', on stored features' if phase.cache_features else ''
      line = f'phase {phase.name}: {line}, {count:,} of {total:,} parameters train{stored}'
    lines.append(line)
  return lines


def _memory_of_largest_step(pieces: Pieces, batch: dict[str, Any]) -> Any:
  """Of the phase that trains most, on images."""
  sizes = [np.inf if paths is None else len(paths) for paths in pieces.trainable]
  index = int(np.argmax(sizes))
  settings = dataclasses.replace(pieces.phases[index], cache_features=False)
  num_classes = len(pieces.train.class_names)
  task = make_task(settings, num_classes, pieces.plan, pieces.trainable[index])
  init_key, train_key = pieces.keys
  state = jax.eval_shape(task.init, init_key, pieces.batch_like)
  compiled = jax.jit(task.train_step, donate_argnums=0).lower(state, batch, train_key).compile()
  return compiled.memory_analysis()
