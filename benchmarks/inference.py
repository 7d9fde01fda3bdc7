"""Time of one forward pass, ours and timm's: `python -m benchmarks.inference --model=resnet50`.

Both sides do the same work in one process, in turn: the model in evaluation mode, float32 on a CPU
and bf16 on a GPU, from a normalised batch on the device to logits on the host. Prints one JSON
line; `ratio` is the peer's time over ours. On a machine with other work pin the process to one core
(`taskset -c 0`): PyTorch's threads wait for each other, ours do not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import common, peers
from lesionjax.allocator import keep_freed_memory
from lesionjax.models import build_model


def ours_inference(
  name: str, num_classes: int, image: np.ndarray, dtype: Any
) -> tuple[Callable[[], object], float]:
  """One forward pass of our model on a batch that lies on the device.

  Args:
    name: name in `MODELS`.
    num_classes: number of logits.
    image: float32 [B,H,W,3].
    dtype: dtype of the arithmetic.

  Returns:
    A function that does one pass, waits for it and returns the logits; seconds to compile.
  """
  model = build_model(name, num_classes, dtype=dtype)
  batch = jax.device_put(image)
  variables = jax.jit(model.init)(jax.random.key(0), batch[:1])
  start = time.perf_counter()
  forward = jax.jit(lambda variables, image: model.apply(variables, image)[0])
  compiled = forward.lower(variables, batch).compile()
  compile_s = time.perf_counter() - start
  return lambda: np.asarray(compiled(variables, batch)), compile_s


def measure(options: argparse.Namespace) -> dict[str, Any]:
  """Runs both sides and describes what was run."""
  shape = (options.batch, options.size, options.size, 3)
  image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
  gpu = jax.default_backend() == 'gpu'
  threads = common.cores()
  dtype = jnp.bfloat16 if gpu else jnp.float32
  peer = peers.inference(peers.timm_name(options.model), options.classes, image, threads)
  ours, compile_s = ours_inference(options.model, options.classes, image, dtype)
  for _ in range(options.warmup):
    ours()
    peer()
  result = common.summary(*common.interleave(ours, peer, options.rounds, options.repeats))
  return {
    'benchmark': 'inference',
    **result,
    'unit': 's per batch',
    'model': options.model,
    'size': options.size,
    'batch': options.batch,
    'device': jax.devices()[0].device_kind,
    'dtype': jnp.dtype(dtype).name,
    'threads': threads,
    'compile_s': round(compile_s, 2),
    'hardware': common.machine(),
  }


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  parser = argparse.ArgumentParser(description='forward pass, ours against timm')
  parser.add_argument('--model', default='efficientnet_b0', help='a name in MODELS with a peer')
  parser.add_argument('--size', type=int, default=224, help='image height and width in px')
  parser.add_argument('--batch', type=int, default=16, help='images per pass')
  parser.add_argument('--classes', type=int, default=7)
  parser.add_argument('--rounds', type=int, default=9, help='timed rounds of either side')
  parser.add_argument('--repeats', type=int, default=1, help='passes per round')
  parser.add_argument('--warmup', type=int, default=2, help='untimed passes of either side')
  options = parser.parse_args()
  keep_freed_memory()  # as main.py does; it holds for both sides
  return measure(options)


if __name__ == '__main__':
  common.run_main(main)
