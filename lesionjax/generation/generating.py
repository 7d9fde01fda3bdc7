"""Samples of a generator, its validation after an epoch, and the grids that show how it learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from data_builders.errors import UserError
from data_builders.images import encode_png
from lesionjax.config import image_size
from lesionjax.data import memory
from lesionjax.generation.judging import Judge
from lesionjax.generation.sampling import Sampler
from lesionjax.host import files
from lesionjax.runs import assembly, inference, run_data, run_directory
from lesionjax.runs.pieces import PhasePieces, Pieces
from lesionjax.training.adversarial import collapse, summarise_tally
from lesionjax.training.adversarial_losses import LOSSES
from lesionjax.training.mesh import to_host
from lesionjax.training.state import State

SAMPLES = 'samples'  # folder of the grids in a run's directory
_LEAST_PX = 64  # of an image in a grid: smaller ones are enlarged, pixel by pixel
_GAP_PX = 4


def local_weights(weights: Any) -> Any:
  """Replicated weights as arrays of this process, which computes samples by itself."""
  return jax.tree.map(lambda leaf: leaf.addressable_data(0), weights)


def validator(
  pieces: Pieces, phase: PhasePieces, run_dir: epath.Path, pixels: np.ndarray | None
) -> Callable[[State], dict[str, float]]:
  """Returns state -> metrics on validation, which also writes the grid of the epoch.

  Args:
    pieces: of the run.
    phase: its only one.
    run_dir: where grids go.
    pixels: the validation images, where they are in memory.
  """
  config, names = pieces.config, pieces.train.class_names
  predict = inference.compile_predict(phase.task.eval_step, pieces.mesh)
  sampler = Sampler(assembly.make_model(config, len(names)), config.evaluate.batch_size)
  judge = reference = None
  if config.gan.judge:
    judge = Judge(config.gan.judge)
    rows = some_rows(len(pieces.validation), config.gan.judge_images)
    split = pieces.validation.take(np.isin(np.arange(len(pieces.validation)), rows))
    real = memory.decode_all(split, image_size(config)) if pixels is None else pixels[rows]
    reference = judge.look(real, split.labels)

  def validate(state: State) -> dict[str, float]:
    """Metrics of the average generator; refuses a discriminator that has collapsed."""
    step = int(to_host(state.step))
    _check(summarise_tally(to_host(state.tally)), step, run_dir)
    batches = run_data.eval_batches(config, pieces.validation, pieces.mesh, pixels)
    outputs = inference.predict_batches(predict, state.weights, batches)
    metrics = {'latest': float(step), **logit_metrics(config, outputs)}
    if not all(np.isfinite(value) for value in metrics.values()):
      raise UserError(
        f'Training stopped: after step {step} the logits of the discriminator on validation are'
        ' not finite; lower config.gan.discriminator_learning_rate, in another --workdir.'
      )
    weights = local_weights(state.weights)
    if jax.process_index() == 0:
      write_grid(run_dir, step, grid_samples(sampler, weights, config, len(names)), names)
    if judge is not None and reference is not None:
      drawn = sampler(weights, reference.labels, config.seed)
      metrics |= judge.compare(reference, judge.look(drawn, reference.labels))
    return metrics

  return validate


def logit_metrics(config: ConfigDict, outputs: dict[str, np.ndarray]) -> dict[str, float]:
  """Losses and mean logits on real images and the generated ones beside them."""
  loss = LOSSES[config.gan.loss]
  real, fake = jnp.asarray(outputs['real_logit']), jnp.asarray(outputs['fake_logit'])
  return {
    'loss': float(np.mean(loss.generator(fake))),
    'discriminator_loss': float(np.mean(loss.discriminator(real, fake))),
    'real_logit': float(real.mean()),
    'fake_logit': float(fake.mean()),
  }


def some_rows(count: int, most: int) -> np.ndarray:
  """At most so many rows of a split, evenly spread, in order."""
  return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _check(means: dict[str, float], step: int, run_dir: epath.Path) -> None:
  found = collapse(means)
  if found:
    begun = run_directory.has_begun(run_dir)
    kept = 'the checkpoint before is kept' if begun else 'there is no checkpoint yet'
    raise UserError(
      f'Training stopped: after step {step} the discriminator has collapsed, for it {found}'
      f' ({kept}); lower config.gan.discriminator_learning_rate or set config.gan.r1, in another'
      ' --workdir.'
    )


def grid_samples(sampler: Sampler, weights: Any, config: ConfigDict, classes: int) -> np.ndarray:
  """Images uint8 [K, columns, S, S, 3] of the latents that every grid of the run shows.

  A column is one latent, so that what the classes change is seen.
  """
  columns = config.gan.grid_columns
  rows = [sampler(weights, np.full(columns, label), config.seed) for label in range(classes)]
  return np.stack(rows)


def write_grid(
  run_dir: epath.Path, step: int, images: np.ndarray, class_names: Sequence[str]
) -> epath.Path:
  """Writes samples/step_N.png: a row a class, its name before it.

  Args:
    run_dir: of the run.
    step: optimiser steps made.
    images: uint8 [K, columns, S, S, 3] RGB.
    class_names: K names.
  """
  path = run_dir / SAMPLES / f'step_{step}.png'
  files.write_bytes(path, encode_png(draw_grid(images, class_names)))
  return path


def draw_grid(images: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
  """Returns images uint8 [K, columns, S, S, 3] as one picture uint8 [H, W, 3] on white."""
  times = -(-_LEAST_PX // images.shape[2])
  images = images.repeat(times, 2).repeat(times, 3)
  classes, columns, side = images.shape[:3]
  font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.45
  margin = 2 * _GAP_PX + max(cv2.getTextSize(name, font, scale, 1)[0][0] for name in class_names)
  pitch = side + _GAP_PX
  picture = np.full((classes * pitch + _GAP_PX, margin + columns * pitch, 3), 255, np.uint8)
  for row, name in enumerate(class_names):
    top = _GAP_PX + row * pitch
    place = (_GAP_PX, top + side // 2 + 5)
    cv2.putText(picture, name, place, font, scale, (31, 41, 51), 1, cv2.LINE_AA)
    for column in range(columns):
      left = margin + column * pitch
      picture[top : top + side, left : left + side] = images[row, column]
  return picture
