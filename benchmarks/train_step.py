"""Time of one training step, ours and timm's: `python -m benchmarks.train_step --model=resnet18`.

Both sides do the same work in one process, in turn: forward in training mode, softmax
cross-entropy, backward and AdamW, float32 on a CPU and bf16 on a GPU, the batch prepared
beforehand. Prints one JSON line; `ratio` is the peer's time over ours.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import common, peers
from lesionjax.models import build_model


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
  model = build_model(name, num_classes, dtype=dtype)
  tx = optax.adamw(1e-3, weight_decay=1e-4)

  @jax.jit
  def init(key: jax.Array) -> tuple[Any, Any, Any]:
    variables = model.init(key, jnp.zeros_like(image[:1]))
    return variables['params'], variables.get('batch_stats', {}), tx.init(variables['params'])

  def step(state: Any, x: jax.Array, y: jax.Array, key: jax.Array) -> tuple[Any, jax.Array]:
    params, stats, opt_state = state

    def loss_of(params: Any) -> tuple[jax.Array, Any]:
      (logits, _), new = model.apply(
        {'params': params, 'batch_stats': stats},
        x,
        train=True,
        mutable=['batch_stats'],
        rngs={'dropout': key},
      )
      loss = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
      return loss, new.get('batch_stats', {})

    (loss, stats), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
    updates, opt_state = tx.update(gradient, opt_state, params)
    return (optax.apply_updates(params, updates), stats, opt_state), loss

  key = jax.random.key(0)
  x, y = jax.device_put(image), jax.device_put(label)
  state = init(key)
  start = time.perf_counter()
  compiled = jax.jit(step, donate_argnums=0).lower(state, x, y, key).compile()
  compile_s = time.perf_counter() - start
  holder = [state]

  def run() -> float:
    holder[0], loss = compiled(holder[0], x, y, key)
    jax.block_until_ready(holder[0])
    return float(loss)

  return run, compile_s


def measure(options: argparse.Namespace) -> dict[str, Any]:
  """Runs both sides and describes what was run."""
  rng = np.random.default_rng(0)
  shape = (options.batch, options.size, options.size, 3)
  image = rng.normal(size=shape).astype(np.float32)
  label = rng.integers(0, options.classes, options.batch)
  gpu = jax.default_backend() == 'gpu'
  threads = common.cores()
  peer = peers.train_step(options.peer or options.model, options.classes, image, label, threads)
  ours, compile_s = ours_step(
    options.model, options.classes, image, label, jnp.bfloat16 if gpu else jnp.float32
  )
  for _ in range(options.warmup):
    ours()
    peer()
  result = common.summary(*common.interleave(ours, peer, options.rounds, options.repeats))
  return {
    'benchmark': 'train_step',
    **result,
    'unit': 's per step',
    'model': options.model,
    'size': options.size,
    'batch': options.batch,
    'device': jax.devices()[0].device_kind,
    'dtype': 'bfloat16' if gpu else 'float32',
    'threads': threads,
    'compile_s': round(compile_s, 2),
    'hardware': common.machine(),
  }


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  parser = argparse.ArgumentParser(description='training step, ours against timm')
  parser.add_argument('--model', default='resnet18')
  parser.add_argument('--peer', help="timm's name where it differs from ours")
  parser.add_argument('--size', type=int, default=64, help='image height and width in px')
  parser.add_argument('--batch', type=int, default=64, help='images per step')
  parser.add_argument('--classes', type=int, default=7)
  parser.add_argument('--rounds', type=int, default=9, help='timed rounds of either side')
  parser.add_argument('--repeats', type=int, default=1, help='steps per round')
  parser.add_argument('--warmup', type=int, default=3, help='untimed steps of either side')
  return measure(parser.parse_args())


if __name__ == '__main__':
  common.run_main(main)
