"""What freezing saves: `python -m benchmarks.phases --model=resnet18 --size=64`.

Times, in turn and in one process, one optimiser step of a phase that trains everything, of one that
trains the last block, of one that trains the head alone, and of one that trains the head on stored
features, whose rows are gathered from memory as in a run. The batch of the others is on the device
beforehand, so that the gain of stored features, which need no images either, is a lower bound.
Prints one JSON line; `head_of_all` and `last_block_of_all` are shares of the full step's time,
`head_over_stored` says how many times faster the stored features are than the frozen step.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from benchmarks import common
from configs import base
from lesionjax.host.allocator import keep_freed_memory
from lesionjax.runs import assembly, run_data
from lesionjax.runs.phases import Phase, phases_of, trainable_paths
from lesionjax.training.loop import Plan
from lesionjax.training.mesh import Mesh, make_mesh
from lesionjax.training.progress import Rules

_STEPS = 1000  # of the plan; only schedules look at it
_IMAGES = 4096  # behind the stored features


def settings(options: argparse.Namespace) -> ConfigDict:
  """Returns a configuration with the four phases."""
  config = base.get_config()
  config.num_devices = 1
  config.model.name = options.model
  config.data.size_px = options.size
  config.train.batch_size = options.batch
  config.phases = (
    {'name': 'all'},
    {'name': 'last_block', 'trainable': 'last_block'},
    {'name': 'head', 'trainable': 'head'},
    {'name': 'stored', 'trainable': 'head', 'cache_features': True},
  )
  return config


def make_step(
  phase: Phase, batch: dict[str, np.ndarray], num_classes: int, mesh: Mesh
) -> Callable[[], object]:
  """Returns a function that makes one step of a phase and waits for it."""
  config = phase.config
  names = tuple(map(str, range(num_classes)))
  plan = Plan(_STEPS, _STEPS, config.train.batch_size, 1, 0, Rules('loss'), names)
  trainable = trainable_paths(phase, assembly.make_model(config, num_classes))
  task = assembly.make_task(phase, num_classes, plan, trainable)
  key = jax.random.key(0)
  holder = [jax.jit(task.init, out_shardings=mesh.replicated)(key, batch)]
  step = jax.jit(task.train_step, donate_argnums=0, out_shardings=mesh.replicated)
  if phase.cache_features:
    rng = np.random.default_rng(0)
    width = jax.eval_shape(task_features(config, num_classes), batch['image'][:1]).shape[-1]
    features = rng.normal(size=(_IMAGES, width)).astype(np.float32)
    labels = rng.integers(0, num_classes, _IMAGES)
    batches = run_data.feature_batches(config, features, labels, mesh)
  else:
    on_device = jax.device_put(batch, mesh.batch)
    batches = iter(lambda: on_device, None)

  def run() -> None:
    holder[0], _ = step(holder[0], next(batches), key)
    jax.block_until_ready(holder[0])

  return run


def task_features(config: ConfigDict, num_classes: int) -> Callable[[Any], jax.Array]:
  """Returns images -> pre-logits of an untrained network, for their shape."""
  model = assembly.make_model(config, num_classes)

  def features(image: Any) -> jax.Array:
    return model.init_with_output(jax.random.key(0), image / 255.0, train=False)[0][1]['pre_logits']

  return features


def measure(options: argparse.Namespace) -> dict[str, Any]:
  """Times the four phases and describes what was run."""
  config, mesh = settings(options), make_mesh(1)
  rng = np.random.default_rng(0)
  batch = {
    'image': rng.integers(0, 256, (options.batch, options.size, options.size, 3), np.uint8),
    'label': rng.integers(0, options.classes, options.batch).astype(np.int32),
  }
  steps = {p.name: make_step(p, batch, options.classes, mesh) for p in phases_of(config)}
  repeats = {name: options.repeats if name == 'stored' else 1 for name in steps}
  times: dict[str, list[float]] = {name: [] for name in steps}
  for number in range(options.warmup + options.rounds):
    for name, step in steps.items():
      start = time.perf_counter()
      for _ in range(repeats[name]):
        step()
      if number >= options.warmup:
        times[name].append((time.perf_counter() - start) / repeats[name])
  median = {name: statistics.median(values) for name, values in times.items()}
  return {
    'benchmark': 'phases',
    'model': options.model,
    'size': options.size,
    'batch': options.batch,
    'step_s': {name: round(value, 6) for name, value in median.items()},
    'head_of_all': round(median['head'] / median['all'], 3),
    'last_block_of_all': round(median['last_block'] / median['all'], 3),
    'head_over_stored': round(median['head'] / median['stored'], 1),
    'rounds': options.rounds,
    'device': jax.devices()[0].device_kind,
    'hardware': common.machine(),
  }


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  parser = argparse.ArgumentParser(description='training step by what is frozen')
  parser.add_argument('--model', default='resnet18')
  parser.add_argument('--size', type=int, default=64, help='image height and width in px')
  parser.add_argument('--batch', type=int, default=64, help='images per step')
  parser.add_argument('--classes', type=int, default=7)
  parser.add_argument('--rounds', type=int, default=9, help='timed rounds')
  parser.add_argument('--repeats', type=int, default=50, help='steps on features per round')
  parser.add_argument('--warmup', type=int, default=2, help='untimed rounds')
  options = parser.parse_args()
  keep_freed_memory()  # as main.py does
  return measure(options)


if __name__ == '__main__':
  common.run_main(main)
