"""Time of one forward pass, ours and timm's: `python -m benchmarks.inference --model=resnet50`.

Both sides do the same work in one process, in turn: the model in evaluation mode, float32 on a CPU
and bf16 on a GPU, from a normalised batch on the device to logits on the host. Prints one JSON
line; `ratio` is the peer's time over ours; `--model=unet` predicts masks, beside an equal network
in PyTorch (`peer_segmenters`). On a machine with other work pin the process to one core
(`taskset -c 0`): PyTorch's threads wait for each other, ours do not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks import common, model_sides, peer_segmenters, peers, segmenters
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
  threads = common.cores()
  if model_sides.is_segmenter(options):
    model = peer_segmenters.build(options.model, options.width)
    peer = peer_segmenters.inference(model, image, threads)
    ours, compile_s = segmenters.inference(model_sides.build(options), image)
  else:
    peer = peers.inference(
      options.peer or peers.timm_name(options.model), options.classes, image, threads
    )
    ours, compile_s = ours_inference(options.model, options.classes, image, model_sides.dtype())
  for _ in range(options.warmup):
    ours()
    peer()
  result = common.summary(*common.interleave(ours, peer, options.rounds, options.repeats))
  return {
    'benchmark': 'inference',
    **result,
    'unit': 's per batch',
    **model_sides.describe(options, result['ours'], passes=1),
    'threads': threads,
    'compile_s': round(compile_s, 2),
  }


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  options = model_sides.parse(
    'forward pass, ours against timm', 'efficientnet_b0', 224, 16, 'passes'
  )
  return common.keep(measure(options), options.json)


if __name__ == '__main__':
  common.run_main(main)
