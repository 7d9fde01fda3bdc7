"""--dry_run: what a run would be, without training."""

from __future__ import annotations

import jax
import numpy as np
from ml_collections import ConfigDict

from lesionjax.assembly import Pieces
from lesionjax.training.checkpoints import shapes


def describe(config: ConfigDict) -> str:
  """Describes a run without training: shapes, parameters, memory, steps.

  Args:
    config: the complete configuration.

  Returns:
    Lines of text.
  """
  pieces = Pieces.of(config)
  task, plan = pieces.task, pieces.plan
  init_key, train_key = pieces.keys
  state = jax.eval_shape(task.init, init_key, pieces.batch_like)
  size_px, count = config.data.size_px, config.train.batch_size
  batch = {
    'image': jax.ShapeDtypeStruct((count, size_px, size_px, 3), np.uint8),
    'label': jax.ShapeDtypeStruct((count,), np.int32),
  }
  lines = [f'{"parameter":<60} {"shape":>20} {"count":>12}']
  for name, shape in shapes(state.params).items():
    lines.append(f'{name:<60} {shape!s:>20} {int(np.prod(shape)):>12,}')
  total = sum(leaf.size for leaf in jax.tree.leaves(state.params))
  stats = sum(leaf.size for leaf in jax.tree.leaves(state.batch_stats))
  compiled = jax.jit(pieces.task.train_step, donate_argnums=0).lower(state, batch, train_key)
  memory = compiled.compile().memory_analysis()
  plan = pieces.plan
  lines += [
    f'model {config.model.name}: {total:,} parameters, {stats:,} batch statistics',
    f'batch: image uint8 {batch["image"].shape}, label int32 {batch["label"].shape}, over '
    f'{pieces.mesh.num_devices} {jax.default_backend()} device(s)',
    f'data: {pieces.train.name}: {len(pieces.train)} training and {len(pieces.validation)} '
    f'validation images, {len(pieces.train.class_names)} classes',
    f'steps: {plan.total_steps} = {config.train.epochs} epochs x {plan.steps_per_epoch}',
  ]
  if memory is not None:
    megabytes = (memory.argument_size_in_bytes + memory.temp_size_in_bytes) / 2**20
    lines.append(f'memory of a step on one device holding the whole batch: {megabytes:,.0f} MiB')
  return '\n'.join(lines)
