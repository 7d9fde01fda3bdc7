"""Encoded JPEGs to augmented, normalised batches: `python -m benchmarks.input_pipeline`.

Ours: ArrayRecord -> Grain threads decode and resize -> one jitted warp, colour jitter and
normalisation on the device; `ram` and `device` are the input modes that decode once, before the
clock starts, as from the second epoch on. The peer: torch's DataLoader with two worker processes
doing the same with OpenCV from the same records. Both run in turn; each round first drains what
was prefetched while the other side ran. The headline's peer decodes JPEGs as ours does;
`peer_full_decode` is the same peer with a full decode and INTER_AREA. Prints one
JSON line; `ratio` is the peer's time over ours, `ratio_ram` and `ratio_device` that over the other
modes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from benchmarks import common, input_images, input_peer, peers
from lesionjax.data import memory
from lesionjax.data.augment import AugmentOptions, augment, normalise
from lesionjax.data.datasets import open_split
from lesionjax.data.stream import to_device, train_stream

OPTIONS = AugmentOptions(
  flip_horizontal=True,
  flip_vertical=True,
  rotation_deg=180,
  scale=(0.9, 1.1),
  translate=0.05,
  shear_deg=5,
  crop_area=(0.7, 1.0),
  brightness=0.2,
  contrast=0.2,
  saturation=0.2,
  hue=0.02,
)
_DRAINED = 6  # batches: more than either side prefetches


def our_batches(
  data_dir: str, size_px: int, batch_size: int, mode: str = 'stream'
) -> Iterator[jax.Array]:
  """Endless normalised batches, float32 [B, S, S, 3], one step dispatched ahead."""
  split = open_split('dermoscopic_jpegs', 'train', data_dir)
  sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  pixels = None if mode == 'stream' else memory.decode_all(split, size_px)
  resident = {}
  if mode == 'device':
    assert pixels is not None
    resident = {'resident': memory.place(pixels, sharding)}
  dataset = train_stream(split, batch_size, size_px, seed=0, pixels=pixels, images=not resident)

  @jax.jit
  def prepare(batch: dict[str, jax.Array], key: jax.Array) -> jax.Array:
    image = memory.gather(batch)['image'] if resident else batch['image']
    return normalise(augment(image, key, OPTIONS), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))

  def needed(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if resident:
      return {'index': batch['index'].astype(np.int32)}
    return {'image': batch['image']}

  dataset = dataset.map(needed)
  key = jax.random.key(0)
  for step, batch in enumerate(iter(to_device(dataset, sharding))):
    yield prepare({**batch, **resident}, jax.random.fold_in(key, step))


def timer(batches: Iterator[Any], count: int, images: int) -> Callable[[], float]:
  """Returns a function that drains the prefetched batches, then times `count` of them.

  Its result is in seconds per 1,000 images.
  """

  def run() -> float:
    for _ in range(_DRAINED):
      _wait(next(batches))
    start = time.perf_counter()
    for _ in range(count):
      _wait(next(batches))
    return (time.perf_counter() - start) / (count * images) * 1000

  return run


def _wait(batch: Any) -> None:
  if isinstance(batch, jax.Array):
    batch.block_until_ready()
  elif batch.is_cuda:
    peers.load_torch().cuda.synchronize()


def measure(options: argparse.Namespace, data_dir: str) -> dict[str, Any]:
  """Runs ours and both peers in turn and describes what was run."""
  builder = input_images.DermoscopicJpegs(
    images=options.images, quality=options.quality, data_dir=data_dir, file_format='array_record'
  )
  builder.download_and_prepare()
  sizes = [len(open_split(builder.name, 'train', data_dir).encoded(i)) for i in range(64)]
  sides = {
    name: our_batches(data_dir, options.size, options.batch, mode)
    for name, mode in (('ours', 'stream'), ('ram', 'ram'), ('device', 'device'))
  }
  for name, reduced in (('peer', True), ('peer_full_decode', False)):
    sides[name] = input_peer.batches(
      data_dir, options.size, options.batch, OPTIONS, workers=options.workers, reduced=reduced
    )
  timers = {name: timer(side, options.batches, options.batch) for name, side in sides.items()}
  for run in timers.values():
    run()
  rounds = {name: [] for name in timers}
  for _ in range(options.rounds):
    for name, run in timers.items():
      rounds[name].append(run())
  medians = {name: statistics.median(times) for name, times in rounds.items()}
  full = medians['peer_full_decode']
  result = common.summary(rounds['ours'], rounds['peer'])
  return {
    'benchmark': 'input_pipeline',
    **result,
    'unit': 's per 1000 images',
    'peer_full_decode': round(full, 6),
    'ratio_full_decode': round(full / result['ours'], 3),
    **{f'ours_{mode}': round(medians[mode], 6) for mode in ('ram', 'device')},
    **{f'ratio_{mode}': round(medians['peer'] / medians[mode], 3) for mode in ('ram', 'device')},
    'size': options.size,
    'batch': options.batch,
    'workers': options.workers,
    'jpeg_kb': round(float(np.mean(sizes)) / 1000),
    'device': jax.devices()[0].device_kind,
    'hardware': common.machine(),
  }


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  parser = argparse.ArgumentParser(description='input pipeline, ours against DataLoader')
  parser.add_argument('--size', type=int, default=224, help='side of the batches in px')
  parser.add_argument('--batch', type=int, default=64, help='images a batch')
  parser.add_argument('--images', type=int, default=256, help='JPEGs to draw')
  parser.add_argument('--quality', type=int, default=95, help='JPEG quality')
  parser.add_argument('--workers', type=int, default=2, help="the peer's worker processes")
  parser.add_argument('--batches', type=int, default=12, help='timed batches a round')
  parser.add_argument('--rounds', type=int, default=7, help='timed rounds of either side')
  options = parser.parse_args()
  peers.load_torch()  # says how to get it before any image is drawn
  with tempfile.TemporaryDirectory(prefix='input_pipeline') as data_dir:
    return measure(options, data_dir)


if __name__ == '__main__':
  common.run_main(main)
