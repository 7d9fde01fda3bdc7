"""Images a second of --mode=predict, end to end: `python -m benchmarks.predict [--workdir=RUN]`.

Writes JPEGs of 256 x 256 px, predicts them with a run (without --workdir: a ResNet-18 that was
trained for an instant at 64 px on synthetic images) with overlays off, and prints one JSON line.
Every round is a program of its own. `wall_s` holds all that `predict` does, from finding the files
to the page: reading the checkpoint, decoding, predicting, writing. Compilation is aside: a first
program fills jax's cache of compiled programs, from which the others read. `peak_mib` of two
numbers of images shows whether memory grows with them.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import cv2
import numpy as np

from benchmarks import common

_ROUND = """
import json, sys, time
from lesionjax.host import allocator
from data_builders import peak_memory
allocator.keep_freed_memory()
from lesionjax.predicting.predict import predict
run, images, out = sys.argv[1:]
start, used = time.perf_counter(), time.process_time()
predict(run, images, out, overlays=False)
wall_s, cpu_s = time.perf_counter() - start, time.process_time() - used
print(json.dumps({'wall_s': wall_s, 'cpu_s': cpu_s, 'peak_mib': peak_memory.mib()}))
"""
_DIFFERENT = 250  # photographs; more are copies under other names


def write_images(folder: pathlib.Path, count: int) -> None:
  """Writes JPEGs of 256 x 256 px: a dark blob on skin, with noise as of a camera (about 20 kB)."""
  rng = np.random.default_rng(0)
  y, x = np.mgrid[-1:1:256j, -1:1:256j]
  files = []
  for _ in range(min(count, _DIFFERENT)):
    edge = rng.uniform(0.3, 0.7) + 0.05 * np.cos(rng.integers(2, 6) * np.arctan2(y, x))
    inside = np.hypot(x - rng.uniform(-0.2, 0.2), y) < edge
    image = np.where(inside[..., None], [110, 70, 60], [215, 175, 155])
    noisy = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    files.append(cv2.imencode('.jpg', noisy[..., ::-1])[1].tobytes())
  folder.mkdir()
  for index in range(count):
    (folder / f'{index:05d}.jpg').write_bytes(files[index % len(files)])


def train_run(folder: pathlib.Path) -> str:
  """Trains a ResNet-18 at 64 px for an epoch of the tiny synthetic data set."""
  from configs import base
  from data_builders import build
  from lesionjax import experiment

  name = 'synthetic_dermoscopy/tiny'
  build.prepare(name, data_dir=str(folder / 'data'), progress=False)
  config = base.get_config()
  config.data.name, config.data.data_dir = name, str(folder / 'data')
  config.train.epochs, config.train.batch_size = 1, 32
  config.evaluate.colour_baseline = False
  config.evaluate.resamples = 20
  experiment.train(config, str(folder / 'run'), False)
  return str(folder / 'run')


def predict_once(run: str, images: pathlib.Path, out: pathlib.Path, cache: str) -> dict[str, float]:
  """Predicts a folder in a program of its own; returns seconds and peak memory."""
  environment = {
    **os.environ,
    'JAX_COMPILATION_CACHE_DIR': cache,
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '-1',
  }
  arguments = [sys.executable, '-c', _ROUND, run, str(images), str(out)]
  done = subprocess.run(arguments, env=environment, check=True, stdout=subprocess.PIPE, text=True)
  return json.loads(done.stdout.splitlines()[-1])


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
  parser.add_argument('--workdir', default='', help='an evaluated run of a classifier')
  parser.add_argument('--images', type=int, default=1000)
  parser.add_argument('--more', type=int, default=4000, help='images of the second peak; 0 = none')
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--out', help='file that the result is added to, as one line')
  options = parser.parse_args()
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    run = os.path.abspath(options.workdir) if options.workdir else train_run(folder)
    write_images(folder / 'images', options.images)
    cache = str(folder / 'compiled')
    cold, *warm = (
      predict_once(run, folder / 'images', folder / 'out', cache) for _ in range(1 + options.rounds)
    )
    walls = sorted(each['wall_s'] for each in warm)
    peaks = {options.images: round(max(each['peak_mib'] for each in warm), 1)}
    if options.more:
      write_images(folder / 'more', options.more)
      found = predict_once(run, folder / 'more', folder / 'out', cache)
      peaks[options.more] = round(found['peak_mib'], 1)
  result = {
    'benchmark': 'predict',
    'images': options.images,
    'images_per_s': round(options.images / walls[len(walls) // 2], 1),
    'wall_s': [round(wall, 2) for wall in walls],
    # Of all threads; on a machine with other work the wall time says less.
    'cpu_s': round(min(each['cpu_s'] for each in warm), 2),
    'wall_with_compilation_s': round(cold['wall_s'], 2),
    'peak_mib': peaks,
    'run': os.path.basename(run),
    **common.machine(),
  }
  return common.keep(result, options.out)


if __name__ == '__main__':
  common.run_main(main)
