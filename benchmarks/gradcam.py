"""Cost of Grad-CAM beside a forward pass: `python -m benchmarks.gradcam [--size=224] [--batch=8]`.

Both work through the same images in one process, in turn: batches of uint8 images are normalised
and classified, and with Grad-CAM the maps come back as well, at the size of the images. Prints one
JSON line; `ratio` is Grad-CAM's time over that of the forward pass, `seconds_per_1000` both in
seconds. Files are not read: decoding would only bring the ratio nearer to 1.
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import common
from lesionjax.explain.cam import make_cam
from lesionjax.host.allocator import keep_freed_memory
from lesionjax.models import build_model


def measure(options: argparse.Namespace) -> dict[str, Any]:
  """Times both on the same images and returns what is printed."""
  model = build_model(options.model, options.classes)
  rng = np.random.default_rng(0)
  count = -(-options.images // options.batch)
  shape = (count, options.batch, options.size, options.size, 3)
  batches = rng.integers(0, 256, shape, dtype=np.uint8)
  classes = rng.integers(0, options.classes, (count, options.batch)).astype(np.int32)
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *shape[2:])))
  # Small and positive, as variances are; compiling `init` would take longer than the measurement.
  variables = jax.tree.map(lambda leaf: rng.uniform(0, 0.05, leaf.shape).astype(leaf.dtype), shapes)
  variables = jax.device_put(variables)

  def normalised(pixels: jax.Array) -> jax.Array:
    return (pixels.astype(jnp.float32) / 255 - 0.5) / 0.25

  cam = make_cam(model, options.layer, options.method == 'gradcam++')
  forward = jax.jit(lambda v, pixels: model.apply(v, normalised(pixels), train=False)[0])
  explain = jax.jit(lambda v, pixels, k: cam(v, normalised(pixels), k)[::2])

  def classify() -> None:
    for pixels in batches:
      np.asarray(forward(variables, pixels))

  def explained() -> None:
    for pixels, wanted in zip(batches, classes, strict=True):
      jax.tree.map(np.asarray, explain(variables, pixels, wanted))

  for function in (forward, explain):  # compiled here
    jax.block_until_ready(
      function(variables, batches[0], *(() if function is forward else (classes[0],)))
    )
  times = common.summary(*common.interleave(classify, explained, options.rounds))
  images = count * options.batch
  return {
    'benchmark': 'gradcam',
    'model': options.model,
    'layer': options.layer,
    'method': options.method,
    'size': options.size,
    'batch': options.batch,
    'images': images,
    'device': jax.devices()[0].device_kind,
    **{key: times[key] for key in ('ratio', 'ratio_low', 'ratio_high', 'rounds')},
    'seconds_per_1000': {
      'forward': round(times['ours'] / images * 1000, 3),
      'gradcam': round(times['peer'] / images * 1000, 3),
    },
    'hardware': common.machine(),
  }


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  parser = argparse.ArgumentParser(description='Grad-CAM against a forward pass')
  parser.add_argument('--model', default='resnet18', help='a name in MODELS')
  parser.add_argument('--layer', default='last_map', help='a feature map of the model')
  parser.add_argument('--method', default='gradcam', choices=('gradcam', 'gradcam++'))
  parser.add_argument('--size', type=int, default=64, help='image height and width in px')
  parser.add_argument('--batch', type=int, default=64, help='images at a time')
  parser.add_argument('--images', type=int, default=1000, help='images a round, in whole batches')
  parser.add_argument('--classes', type=int, default=7)
  parser.add_argument('--rounds', type=int, default=5, help='timed rounds of either side')
  parser.add_argument('--json', help='file that the line is added to')
  options = parser.parse_args()
  keep_freed_memory()
  return common.keep(measure(options), options.json)


if __name__ == '__main__':
  common.run_main(main)
