"""Time of one training step, ours and timm's: `python -m benchmarks.train_step --model=resnet18`.

Both sides do the same work in one process, in turn: forward in training mode, softmax
cross-entropy, backward and AdamW, float32 on a CPU and bf16 on a GPU, the batch normalised and on
the device beforehand. Ours is the step that a run makes, its metrics included. Prints one JSON
line; `ratio` is the peer's time over ours. `--model=unet --size=128 --batch=8` trains a segmenter
with BCE + Dice beside an equal network in PyTorch (`peer_segmenters`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

from benchmarks import common, model_sides, peer_segmenters, peers, segmenters
from lesionjax.models import MODELS, build_model
from lesionjax.training import classify, supervised


def ours_step(
  name: str, num_classes: int, image: np.ndarray, label: np.ndarray, dtype: Any
) -> tuple[Callable[[], object], float]:
  """One training step of our model on a batch that lies on the device.

  Args:
    name: name in `MODELS`.
    num_classes: number of logits.
    image: float32 [B,H,W,3].
    label: int [B].
    dtype: dtype of the arithmetic.

  Returns:
    A function that does one step, waits for it and returns the loss; seconds to compile.
  """
  # timm's models drop nothing unless asked to; the three-block network on either side does.
  options = () if name == 'cnn' else MODELS[name].options
  nothing = {key: 0.0 for key in ('dropout', 'stochastic_depth') if key in options}
  model = build_model(name, num_classes, dtype=dtype, **nothing)
  schedule = optax.constant_schedule(1e-3)
  tx = optax.adamw(schedule, weight_decay=1e-4)
  settings = supervised.Settings(tx, schedule)
  task = classify.make_task(model, num_classes, settings, lambda image, key: image)
  key = jax.random.key(0)
  batch = jax.device_put({'image': image, 'label': label.astype(np.int32)})
  state = jax.jit(task.init)(key, batch)
  start = time.perf_counter()
  compiled = jax.jit(task.train_step, donate_argnums=0).lower(state, batch, key).compile()
  compile_s = time.perf_counter() - start
  holder = [state]

  def run() -> float:
    holder[0], metrics = compiled(holder[0], batch, key)
    jax.block_until_ready(holder[0])
    return float(metrics['loss'])

  return run, compile_s


def _classifiers(
  options: argparse.Namespace, image: np.ndarray, rng: np.random.Generator, threads: int
) -> tuple[Callable[[], object], Callable[[], object], float]:
  label = rng.integers(0, options.classes, options.batch)
  name = options.peer or peers.timm_name(options.model)
  peer = peers.train_step(name, options.classes, image, label, threads)
  ours = ours_step(options.model, options.classes, image, label, model_sides.dtype())
  return ours[0], peer, ours[1]


def _segmenters(
  options: argparse.Namespace, image: np.ndarray, rng: np.random.Generator, threads: int
) -> tuple[Callable[[], object], Callable[[], object], float]:
  mask = rng.integers(0, 2, image.shape[:3])
  model = peer_segmenters.build(options.model, options.width)
  peer = peer_segmenters.train_step(model, image, mask, threads)
  ours = segmenters.train_step(model_sides.build(options), image, mask)
  return ours[0], peer, ours[1]


def measure(options: argparse.Namespace) -> dict[str, Any]:
  """Runs both sides and describes what was run."""
  rng = np.random.default_rng(0)
  shape = (options.batch, options.size, options.size, 3)
  image = rng.normal(size=shape).astype(np.float32)
  threads = common.cores()
  sides = _segmenters if model_sides.is_segmenter(options) else _classifiers
  ours, peer, compile_s = sides(options, image, rng, threads)
  for _ in range(options.warmup):
    ours()
    peer()
  result = common.summary(*common.interleave(ours, peer, options.rounds, options.repeats))
  return {
    'benchmark': 'train_step',
    **result,
    'unit': 's per step',
    **model_sides.describe(options, result['ours'], passes=3),
    'threads': threads,
    'compile_s': round(compile_s, 2),
  }


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  options = model_sides.parse('training step, ours against timm', 'resnet18', 64, 64, 'steps')
  return common.keep(measure(options), options.json)


if __name__ == '__main__':
  common.run_main(main)
