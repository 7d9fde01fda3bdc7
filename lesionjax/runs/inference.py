"""The best weights of a run, and its outputs on whole splits."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax.data.decode import Size, sides
from lesionjax.runs import run_directory
from lesionjax.training.checkpoints import Checkpoints
from lesionjax.training.mesh import Mesh, to_host
from lesionjax.training.state import Batch


def compile_predict(eval_step: Any, mesh: Mesh) -> Any:
  """Returns the jitted (weights, batch) -> outputs with the rows' `valid` flags, replicated."""

  def step(weights: Any, batch: Batch) -> dict[str, jax.Array]:
    return {**eval_step(weights, batch), 'valid': batch['valid']}

  return jax.jit(step, out_shardings=mesh.replicated)


def predict_batches(predict: Any, weights: Any, batches: Iterator[Batch]) -> dict[str, np.ndarray]:
  """Runs over a split once.

  Args:
    predict: from `compile_predict`.
    weights: from `State.weights`, replicated.
    batches: from `run_data.eval_batches`.

  Returns:
    Outputs of every image, in the order of the records, padding removed.
  """
  parts = list(predictions(predict, weights, batches))
  return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def predictions(
  predict: Any, weights: Any, batches: Iterator[Batch]
) -> Iterator[dict[str, np.ndarray]]:
  """Yields what `predict_batches` gathers, batch by batch."""
  for batch in batches:
    outputs = to_host(predict(weights, batch))
    valid = outputs.pop('valid')
    yield {name: value[valid] for name, value in outputs.items()}


def softmax(logits: np.ndarray) -> np.ndarray:
  """Returns the probabilities of logits [N, K], computed in float64, as float32."""
  shifted = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
  return (shifted / shifted.sum(-1, keepdims=True)).astype(np.float32)


def shapes_of(model: Any, size_px: Size) -> dict[str, Any]:
  """Returns shapes and dtypes of a network's variables, for images of that size."""
  image = jax.ShapeDtypeStruct((1, *sides(size_px), 3), jnp.float32)
  return jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), image)


def restore_best(
  run_dir: epath.PathLike,
  model: Any,
  size_px: Size,
  sharding: jax.sharding.Sharding,
  newest: bool = False,
) -> dict[str, Any]:
  """Reads the best weights of a run.

  Args:
    run_dir: of a run that has finished at least one epoch.
    model: the module they belong to.
    size_px: side, or height and width, of its input.
    sharding: where the weights go.
    newest: whether those of the last checkpoint are wanted instead.

  Returns:
    {'params': ..., 'batch_stats': ...}; params are the averaged ones where the run keeps them.

  Raises:
    UserError: when there is no checkpoint of a finished epoch, or it has other shapes.
  """
  run_dir = run_directory.locate(run_dir)
  if not (run_dir / 'checkpoints').exists():
    raise UserError(f'{run_dir} has no checkpoints: train it first with --mode=train.')
  like = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
    shapes_of(model, size_px),
  )
  with Checkpoints(run_dir) as checkpoints:
    step = checkpoints.last_step if newest else checkpoints.best_step
    if step is None:
      raise UserError(f'{run_dir} has no checkpoint of a finished epoch yet: let it train on.')
    return checkpoints.restore_weights(step, like)
