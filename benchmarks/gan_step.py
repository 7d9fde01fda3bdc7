"""Time of one training step of a GAN, ours and PyTorch's: `python -m benchmarks.gan_step`.

Both sides do the same work in one process, in turn: images are generated and judged beside real
ones, the discriminator is updated, images are generated anew and the generator is updated; binary
cross-entropy and Adam on either side, float32 on a CPU and bf16 on a GPU, the batch on the device
beforehand. The peer is the published architecture, as is ours by default; `--model=projection`
times ours with R1 and differentiable augmentation, as configs/lesion_gan.py has them, beside the
same peer. Prints one JSON line; `ratio` is the peer's time over ours, `gflop` what ours computes
for an image of a step.
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

from benchmarks import common, model_sides, peer_gan
from lesionjax.host.allocator import keep_freed_memory
from lesionjax.models.generation import GENERATORS, build_gan
from lesionjax.training import adversarial


def ours_step(
  options: argparse.Namespace, image: np.ndarray, label: np.ndarray
) -> tuple[Callable[[], object], float]:
  """One training step of our pair on a batch that lies on the device.

  Args:
    options: from the command line.
    image: float32 [B,S,S,3] in [-1, 1].
    label: int [B].

  Returns:
    A function that does one step, waits for it and returns the loss; seconds to compile.
  """
  model = build_gan(
    options.model, options.classes, options.size, options.latent, model_sides.dtype(),
    **arguments(options),
  )  # fmt: skip
  schedule = optax.constant_schedule(1e-4)
  published = options.model == 'published'
  settings = adversarial.Settings(
    optax.adam(schedule, b1=0.5),
    optax.adam(schedule, b1=0.5),
    schedule,
    loss='bce',
    r1=0.0 if published else 0.05,
    r1_every=16,
    augment=() if published else ('translation', 'cutout'),
  )
  task = adversarial.make_task(model, settings, lambda image, key: image)
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


def arguments(options: argparse.Namespace) -> dict[str, Any]:
  """The widths of our pair, divided as the command line says."""
  by = options.divide
  if options.model == 'published':
    return {
      'widths': tuple(width // by for width in (256, 128, 64, 32)),
      'discriminator_widths': tuple(width // by for width in (64, 128, 256)),
    }
  return {'width': 24 // by, 'discriminator_width': 32 // by}


def step_gflop(options: argparse.Namespace) -> float:
  """Arithmetic of a step for an image: four passes of the generator, eight of the discriminator.

  A backward pass counts as two; the discriminator sees every image beside a generated one, and of
  its backward pass in the generator's turn only the half that leads to the image is needed.
  Counted layer by layer, one multiplication and one addition each.
  """
  generator, discriminator = _layers(options)
  return (4 * generator + 8 * discriminator) / 1e9


def _layers(options: argparse.Namespace) -> tuple[float, float]:
  """Operations of one pass of the generator and of the discriminator, for an image."""
  size = options.size
  model = build_gan(
    options.model, options.classes, size, options.latent, jnp.float32, **arguments(options)
  )
  shape = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
  params = jax.eval_shape(model.init, jax.random.key(0), shape)['params']
  up = sorted(name for name in params['generator'] if name.startswith('up'))
  pixels = (size >> len(up)) ** 2
  total = 2 * params['generator']['dense']['kernel'].size
  for name in sorted(up, key=lambda name: int(name[2:])):
    total += 2 * params['generator'][name]['kernel'].size * pixels
    pixels *= 4
  total += 2 * params['generator']['image']['kernel'].size * pixels
  down = [
    part['kernel'] for name, part in params['discriminator'].items() if name.startswith('down')
  ]
  judged = 0
  for number, kernel in enumerate(sorted(down, key=lambda kernel: kernel.shape[2]), 1):
    judged += 2 * kernel.size * (size >> number) ** 2
  smallest = (size >> len(down)) ** 2
  for name, times in (('last', smallest), ('hidden', 1)):
    if name in params['discriminator']:
      judged += 2 * params['discriminator'][name]['kernel'].size * times
  return total, judged


def measure(options: argparse.Namespace) -> dict[str, Any]:
  """Runs both sides and describes what was run."""
  rng = np.random.default_rng(0)
  shape = (options.batch, options.size, options.size, 3)
  image = rng.uniform(-1, 1, shape).astype(np.float32)
  label = rng.integers(0, options.classes, options.batch)
  threads = common.cores()
  widths = [tuple(w // options.divide for w in w_) for w_ in ((256, 128, 64, 32), (64, 128, 256))]
  pair = peer_gan.build(options.classes, options.size, options.latent, *widths)
  peer = peer_gan.train_step(pair, options.latent, image, label, threads)
  ours, compile_s = ours_step(options, image, label)
  for _ in range(options.warmup):
    ours()
    peer()
  result = common.summary(*common.interleave(ours, peer, options.rounds, options.repeats))
  gflop = step_gflop(options)
  return {
    'benchmark': 'gan_step',
    **result,
    'unit': 's per step',
    'model': options.model,
    'peer_model': 'published',
    'size': options.size,
    'batch': options.batch,
    'ours_ms_per_image': round(1e3 * result['ours'] / options.batch, 3),
    'gflop': round(gflop, 3),
    'tflops': round(gflop * options.batch / result['ours'] / 1e3, 4),
    'device': jax.devices()[0].device_kind,
    'dtype': jnp.dtype(model_sides.dtype()).name,
    'threads': threads,
    'compile_s': round(compile_s, 2),
    'hardware': common.machine(),
  }


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  parser = argparse.ArgumentParser(description='training step of a GAN, ours against PyTorch')
  parser.add_argument('--model', default='published', choices=tuple(GENERATORS))
  parser.add_argument('--size', type=int, default=64, help='image height and width in px')
  parser.add_argument('--batch', type=int, default=64, help='images')
  parser.add_argument('--classes', type=int, default=7)
  parser.add_argument('--latent', type=int, default=128)
  parser.add_argument('--divide', type=int, default=1, help='widths of either side by this')
  parser.add_argument('--rounds', type=int, default=9, help='timed rounds of either side')
  parser.add_argument('--repeats', type=int, default=1, help='steps per round')
  parser.add_argument('--warmup', type=int, default=2, help='untimed steps of either side')
  parser.add_argument('--json', help='file that the line is added to')
  options = parser.parse_args()
  keep_freed_memory()
  return common.keep(measure(options), options.json)


if __name__ == '__main__':
  common.run_main(main)
