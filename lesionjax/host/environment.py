"""What a run ran on: versions, hardware, commit, command, memory."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import jax
from etils import epath

from data_builders import peak_memory
from lesionjax.host import files

_PACKAGES = (
  'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'grain', 'tensorflow-datasets',
  'numpy', 'opencv-python-headless', 'scikit-learn', 'imbalanced-learn',
  'ml-collections',
)  # fmt: skip


def describe(wall_s: Mapping[str, float]) -> dict[str, Any]:
  """Describes what a run ran on.

  Args:
    wall_s: seconds by activity ('train', 'evaluate').

  Returns:
    Versions, hardware, commit, command, peak memory of this process.
  """
  return {
    'created': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'command': shlex.join([os.path.basename(sys.executable), *sys.argv]),
    'commit': code_commit(),
    'python': platform.python_version(),
    'platform': platform.platform(),
    'cpu': _cpu(),
    'cores': os.cpu_count(),
    'memory_gb': round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1),
    'devices': [device.device_kind for device in jax.devices()],
    'backend': jax.default_backend(),
    'packages': {name: _version(name) for name in _PACKAGES},
    'wall_s': dict(wall_s),
    'peak_memory_mb': round(peak_memory.mib()),
  }


def write(out_dir: epath.Path, wall_s: Mapping[str, float]) -> None:
  """Writes environment.json: what trained a run stays, what evaluates it later stands beside it."""
  path = out_dir / 'environment.json'
  found = describe(wall_s)
  if path.exists():
    found = {**json.loads(path.read_text()), 'evaluated_again': found}
  files.write_json(path, found)


@functools.cache
def code_commit() -> str:
  """Returns the commit of this code, '' outside a repository.

  Ask when a run starts: the files may be changed while it trains, and the answer is kept.
  """
  here = epath.Path(__file__).parent
  try:
    command = ['git', '-C', str(here), 'describe', '--always', '--dirty', '--abbrev=12']
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return ''


def _cpu() -> str:
  try:
    with open('/proc/cpuinfo') as file:
      names = [line.split(':', 1)[1].strip() for line in file if line.startswith('model name')]
    return names[0] if names else platform.processor()
  except OSError:
    return platform.processor()


def _version(name: str) -> str:
  try:
    return importlib.metadata.version(name)
  except importlib.metadata.PackageNotFoundError:
    return ''
