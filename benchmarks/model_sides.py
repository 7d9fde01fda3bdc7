"""What the benchmarks of models share: arguments, precision, and arithmetic done a second."""

from __future__ import annotations

import argparse
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from benchmarks import common
from lesionjax.host.allocator import keep_freed_memory
from lesionjax.models import build_model
from lesionjax.models.cost import count
from lesionjax.models.segmentation import SEGMENTERS, build_segmenter

# Dense bf16 peak in TFLOP/s, from NVIDIA's data sheets, by what the device calls itself.
PEAK_TFLOPS = {
  'NVIDIA H200': 989.0,
  'NVIDIA H100 80GB HBM3': 989.0,
  'NVIDIA A100-SXM4-80GB': 312.0,
  'NVIDIA A100-SXM4-40GB': 312.0,
}


def parse(description: str, model: str, size: int, batch: int, unit: str) -> argparse.Namespace:
  """Reads the command line and sets the allocator as main.py does, which holds for both sides.

  Args:
    description: of the benchmark.
    model: default name.
    size: default side of the image in px.
    batch: default number of images.
    unit: what is timed, in the plural: 'steps'.
  """
  parser = argparse.ArgumentParser(description=description)
  parser.add_argument('--model', default=model, help='a name in MODELS with a peer, or unet')
  parser.add_argument('--peer', help="timm's name where it differs from ours")
  parser.add_argument('--size', type=int, default=size, help='image height and width in px')
  parser.add_argument('--batch', type=int, default=batch, help=f'images, for all {unit}')
  parser.add_argument('--classes', type=int, default=7)
  parser.add_argument('--width', type=int, default=16, help="a segmenter's channels at full size")
  parser.add_argument('--rounds', type=int, default=9, help='timed rounds of either side')
  parser.add_argument('--repeats', type=int, default=1, help=f'{unit} per round')
  parser.add_argument('--warmup', type=int, default=2, help=f'untimed {unit} of either side')
  parser.add_argument('--json', help='file that the line is added to')
  options = parser.parse_args()
  keep_freed_memory()
  return options


def dtype() -> Any:
  """bf16 on a GPU, float32 elsewhere."""
  return jnp.bfloat16 if jax.default_backend() == 'gpu' else jnp.float32


def is_segmenter(options: argparse.Namespace) -> bool:
  """Whether the model asked for gives masks."""
  return options.model in SEGMENTERS


def build(options: argparse.Namespace) -> nn.Module:
  """Builds the model asked for, for the device."""
  if is_segmenter(options):
    return build_segmenter(options.model, dtype(), width=options.width)
  return build_model(options.model, options.classes, dtype=dtype())


def describe(options: argparse.Namespace, ours_s: float, passes: int) -> dict[str, Any]:
  """Returns what was run, and how much arithmetic that is a second.

  Args:
    options: from `parse`.
    ours_s: seconds that ours took for a batch.
    passes: forward passes that the work is worth: 1, or 3 with the backward pass.

  Returns:
    With `tflops`, TFLOP/s of the model's own convolutions and products; and `mfu`, its share of the
    device's peak, where that is known.
  """
  _, gflop = count(build(options), options.size)
  tflops = gflop * passes * options.batch / ours_s / 1e3
  device = jax.devices()[0].device_kind
  peak = PEAK_TFLOPS.get(device)
  return {
    'model': options.model,
    **({'width': options.width} if is_segmenter(options) else {}),
    'size': options.size,
    'batch': options.batch,
    'device': device,
    'dtype': jnp.dtype(dtype()).name,
    'tflops': round(tflops, 4),
    **({'mfu': round(tflops / peak, 3)} if peak else {}),
    'hardware': common.machine(),
  }
