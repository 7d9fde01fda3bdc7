"""What every benchmark shares: fair timing of two sides and a description of the machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_builders.errors import UserError

_PACKAGES = (
  'jax',
  'jaxlib',
  'flax',
  'optax',
  'grain',
  'torch',
  'timm',
  'numpy',
  'opencv-python-headless',
)


def interleave(
  ours: Callable[[], object], peer: Callable[[], object], rounds: int = 5, repeats: int = 1
) -> tuple[list[float], list[float]]:
  """Times two functions in turn, A B A B, so that a busy machine slows both alike.

  Args:
    ours: does one unit of our work and returns when it is finished.
    peer: does the same work the peer's way.
    rounds: timed rounds, at least 5 for a median worth printing.
    repeats: calls within one timed round; the round's time is divided by it.

  Returns:
    Seconds per call of every round: ours, the peer's.
  """
  times: tuple[list[float], list[float]] = ([], [])
  for _ in range(rounds):
    for side, function in enumerate((ours, peer)):
      start = time.perf_counter()
      for _ in range(repeats):
        function()
      times[side].append((time.perf_counter() - start) / repeats)
  return times


def summary(ours: list[float], peer: list[float]) -> dict[str, Any]:
  """Medians, their ratio (peer / ours: above 1 we are faster) and the spread of the rounds."""
  ours_s, peer_s = statistics.median(ours), statistics.median(peer)
  paired = sorted(b / a for a, b in zip(ours, peer, strict=True))
  return {
    'ours': round(ours_s, 6),
    'peer': round(peer_s, 6),
    'ratio': round(peer_s / ours_s, 3),
    'ratio_low': round(paired[0], 3),
    'ratio_high': round(paired[-1], 3),
    'rounds': len(ours),
  }


def machine() -> dict[str, Any]:
  """Processor, cores this process may use, operating system and package versions."""
  versions = {}
  for name in _PACKAGES:
    try:
      versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return {
    'cpu': _cpu_name(),
    'cores': cores(),
    'load_1min': round(os.getloadavg()[0], 2),
    'platform': platform.platform(),
    'python': platform.python_version(),
    'versions': versions,
  }


def cores() -> int:
  """Number of cores this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def keep(result: dict[str, Any], path: str | None) -> dict[str, Any]:
  """Adds a result as one JSON line to a file where one is named; returns the result."""
  if path:
    with open(path, 'a', encoding='utf-8') as file:
      file.write(json.dumps(result) + '\n')
  return result


def run_main(main: Callable[[], dict[str, Any]]) -> None:
  """Prints the result as one JSON line; a mistake of the user's as one sentence, status 1."""
  try:
    print(json.dumps(main()))
  except UserError as error:
    print(f'error: {error}', file=sys.stderr)
    sys.exit(1)


def _cpu_name() -> str:
  """Name, family and model of the processor, as the kernel tells them."""
  try:
    text = Path('/proc/cpuinfo').read_text(encoding='utf-8')
  except OSError:
    return platform.processor()
  found = {}
  for line in text.splitlines():
    key, _, value = line.partition(':')
    found.setdefault(key.strip(), value.strip())
  name = found.get('model name', platform.processor())
  return f'{name} (family {found.get("cpu family", "?")}, model {found.get("model", "?")})'
