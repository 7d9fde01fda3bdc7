"""Every metric with its interval: `python -m benchmarks.bootstrap`.

Draws predictions of a classifier whose classes are as uneven as those of ISIC 2019 and times
`lesionjax.evaluation.evaluate`: all metrics, once on the sample and once on every resample of its
groups. Prints one JSON line; `target_s` is what it is held against.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

from benchmarks import common
from lesionjax.evaluation import evaluate

# Shares of the classes of ISIC 2019's training set: NV, MEL, BCC, BKL, AK, SCC, VASC, DF.
_SHARES = np.array([12875, 4522, 3323, 2624, 867, 628, 253, 239])
TARGET_S = 5.0


def draw(
  images: int, classes: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
  """Returns labels [N], float32 probabilities [N, K], groups [N] of 4 images in 3, and names."""
  rng = np.random.default_rng(seed)
  shares = np.resize(_SHARES, classes).astype(np.float64)
  labels = rng.choice(classes, size=images, p=shares / shares.sum())
  logits = rng.normal(size=(images, classes)) + 2 * np.eye(classes)[labels]
  probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  groups = rng.integers(max(1, images * 3 // 4), size=images)
  return labels, probabilities.astype(np.float32), groups, tuple(map(str, range(classes)))


def measure(options: argparse.Namespace) -> dict[str, Any]:
  """Times the evaluation and describes what was run."""
  drawn = draw(options.images, options.classes)
  times, found = [], {}
  for _ in range(options.rounds):
    start = time.perf_counter()
    found = evaluate(*drawn, resamples=options.resamples)
    times.append(time.perf_counter() - start)
  return {
    'benchmark': 'bootstrap',
    'images': options.images,
    'groups': len(np.unique(drawn[2])),
    'resamples': options.resamples,
    'classes': options.classes,
    'metrics': len(found),
    'seconds': round(statistics.median(times), 3),
    'seconds_low': round(min(times), 3),
    'seconds_high': round(max(times), 3),
    'rounds': options.rounds,
    'target_s': TARGET_S,
    'hardware': common.machine(),
  }


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  parser = argparse.ArgumentParser(description='bootstrap of all metrics')
  parser.add_argument('--images', type=int, default=10_000)
  parser.add_argument('--resamples', type=int, default=1000)
  parser.add_argument('--classes', type=int, default=8)
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--json', default='', help='file to add the result to, as one line')
  options = parser.parse_args()
  return common.keep(measure(options), options.json)


if __name__ == '__main__':
  common.run_main(main)
