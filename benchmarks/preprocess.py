"""Images a second of cleaning: `python -m benchmarks.preprocess`.

The work is decode -> resize to 256 -> remove hair -> CLAHE -> encode, on drawn JPEGs of 1024x768.
Ours is `clean_encoded` in one process and in a pool, with the published parameters and with the
defaults; beside it stand two plain OpenCV loops, the published order and cleaning at full
resolution. Everything runs OpenCV on one thread a process, so that one process is one core. All
sides run in turn, round after round; the pool's workers are started before the first.

Ours decodes these JPEGs at half size where the resize comes first (`one_full_decode` does not) and
encodes without subsampling of colour, which the plain loops do not do. A ratio is the first side's
images a second over the second's. A table goes to stderr, one JSON line to stdout.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from benchmarks import common, input_images, preprocess_plain
from data_builders import pool
from data_builders.cleaning import encoded, pipeline

WIDTH, HEIGHT = 1024, 768
PUBLISHED, DEFAULT = 'stretch256-hair17-clahe', 'stretch256-hair-clahe'
FULL_PUBLISHED, FULL_DEFAULT = 'hair17-clahe-stretch256', 'hair-clahe-stretch256'
RATIOS = (
  ('pool', 'one'),
  ('pool_default', 'one_default'),
  ('one', 'plain'),
  ('one_full_decode', 'plain'),
  ('one_default', 'plain'),
  ('one_full_resolution', 'plain_full_resolution'),
  ('one_full_resolution_default', 'plain_full_resolution'),
)


def draw_jpegs(count: int) -> list[bytes]:
  """Draws hairy lesions as JPEGs of 1024x768 pixels, quality 95."""
  jpegs = []
  for seed in range(count):
    image = cv2.resize(input_images.draw(seed), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    jpegs.append(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
  return jpegs


def sides(jpegs: list[bytes], workers: pool.Processes) -> dict[str, Callable[[], object]]:
  """Side -> function that cleans all images once."""

  def cleaner(name: str) -> Callable[[bytes], object]:
    return functools.partial(pipeline.clean_encoded, pipeline.parse(name))

  def one(name: str) -> Callable[[], object]:
    return lambda: [*map(cleaner(name), jpegs)]

  def several(name: str) -> Callable[[], object]:
    return lambda: [*workers.map(cleaner(name), jpegs, chunk=4)]

  published = pipeline.parse(PUBLISHED)
  return {
    'one': one(PUBLISHED),
    'plain': lambda: [*map(preprocess_plain.resize_then_clean, jpegs)],
    'one_full_decode': lambda: [
      encoded.encode_jpeg(published.apply(encoded.decode_rgb(data))[0]) for data in jpegs
    ],
    'pool': several(PUBLISHED),
    'one_default': one(DEFAULT),
    'pool_default': several(DEFAULT),
    'one_full_resolution': one(FULL_PUBLISHED),
    'one_full_resolution_default': one(FULL_DEFAULT),
    'plain_full_resolution': lambda: [*map(preprocess_plain.clean_then_resize, jpegs)],
  }


def measure(images: int, rounds: int, num_workers: int) -> dict[str, Any]:
  """Times all sides in turn; returns medians, ratios and their spread over the rounds."""
  cv2.setNumThreads(1)
  jpegs = draw_jpegs(images)
  times: dict[str, list[float]] = {}
  with pool.Processes(num_workers) as workers:
    functions = sides(jpegs, workers)
    for function in functions.values():
      function()  # starts workers, warms caches
    for _ in range(rounds):
      for name, function in functions.items():
        start = time.perf_counter()
        function()
        times.setdefault(name, []).append(time.perf_counter() - start)
  rates = {name: [images / seconds for seconds in took] for name, took in times.items()}
  return {
    'benchmark': 'preprocess',
    'unit': 'images per s',
    'images_per_s': {name: _spread(rate, 1) for name, rate in rates.items()},
    'ratios': {
      f'{first} / {second}': _spread(np.divide(rates[first], rates[second]).tolist(), 3)
      for first, second in RATIOS
    },
    'rounds': rounds,
    'images': images,
    'image_px': [WIDTH, HEIGHT],
    'jpeg_kb': round(float(np.mean([len(data) for data in jpegs])) / 1000),
    'workers': num_workers,
    'hardware': common.machine(),
  }


def _spread(values: list[float], digits: int) -> dict[str, float]:
  return {
    'median': round(statistics.median(values), digits),
    'low': round(min(values), digits),
    'high': round(max(values), digits),
  }


def _print_table(result: dict[str, Any]) -> None:
  for title in ('images_per_s', 'ratios'):
    sys.stderr.write(f'{title} (lowest .. highest of {result["rounds"]} rounds)\n')
    for name, value in result[title].items():
      sys.stderr.write(f'  {name:52s} {value["median"]:8.2f} ({value["low"]} .. {value["high"]})\n')


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  parser = argparse.ArgumentParser(description='cleaning of images, ours against plain OpenCV')
  parser.add_argument('--images', type=int, default=24, help='JPEGs to draw')
  parser.add_argument('--rounds', type=int, default=7, help='timed rounds of every side')
  parser.add_argument('--workers', type=int, default=common.cores(), help='processes of the pool')
  parser.add_argument('--json', help='also add the line to this file')
  options = parser.parse_args()
  result = measure(options.images, options.rounds, options.workers)
  _print_table(result)
  return common.keep(result, options.json)


if __name__ == '__main__':
  common.run_main(main)
