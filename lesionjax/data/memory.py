"""Whole splits in memory: decoded once, in host memory or resident on the devices."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_builders.errors import UserError
from lesionjax.data.decode import Size, sides
from lesionjax.data.records import Split


def decode_all(split: Split, size_px: Size, num_threads: int | None = None) -> np.ndarray:
  """Decodes every image of a split once.

  Args:
    split: the records.
    size_px: side, or height and width, of the decoded images.
    num_threads: that decode; None is one a core.

  Returns:
    uint8 [N, height, width, channels] as `Split.decode` has it, in the order of the records.

  Raises:
    UserError: when they do not fit into memory; says how much they take.
  """
  height, width = sides(size_px)
  shape = (len(split), height, width, split.channels)
  needed, free = int(np.prod(shape)), free_bytes()
  if free is not None and needed > 0.9 * free:
    raise UserError(
      f"config.data.input='ram' or 'device' keeps {len(split):,} images of {width}x{height} px"
      f' in memory, {needed / 2**30:.1f} GiB, where {free / 2**30:.1f} GiB are free: use'
      " 'stream'."
    )
  pixels = np.empty(shape, np.uint8)

  def fill(row: int) -> None:
    pixels[row] = split.decode(row, size_px)

  with ThreadPoolExecutor(num_threads or os.cpu_count()) as pool:
    for _ in pool.map(fill, range(len(split))):  # raises what a thread raised
      pass
  return pixels


def place(pixels: np.ndarray, replicated: jax.sharding.Sharding) -> jax.Array:
  """Puts decoded images on every device, where `gather` picks batches.

  Args:
    pixels: from `decode_all`; every process holds all of them.
    replicated: sharding that repeats them on every device.

  Raises:
    UserError: when the memory of a device is too small.
  """
  try:
    return jax.make_array_from_process_local_data(replicated, pixels, pixels.shape)
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    raise UserError(
      f"config.data.input='device' keeps {pixels.nbytes / 2**30:.1f} GiB of images on every device,"
      " which is more than is free there: use 'ram' or 'stream'."
    ) from error


def gather(batch: Mapping[str, Any]) -> dict[str, Any]:
  """Picks the images of a batch out of the resident ones; inside the jitted step.

  Args:
    batch: `resident` uint8 [N, S, S, 3] and `index` int32 [B]; anything else is kept.

  Returns:
    The batch with `image` uint8 [B, S, S, 3] instead.
  """
  rest = {key: value for key, value in batch.items() if key not in ('resident', 'index')}
  return {'image': jnp.take(batch['resident'], batch['index'], axis=0), **rest}


def free_bytes(root: pathlib.Path = pathlib.Path('/')) -> int | None:
  """Memory that is free or only used as a cache; None where the system does not tell.

  A container or a batch job may have less than the machine: its limit counts too.

  Args:
    root: of the file system.
  """
  free = []
  try:
    with (root / 'proc/meminfo').open() as file:
      lines = dict(line.split(':', 1) for line in file)
    free.append(int(lines['MemAvailable'].split()[0]) * 1024)
  except (OSError, KeyError, ValueError, IndexError):
    pass
  # cgroup v2 and v1, as a container sees its own: limit and what is used of it, caches included.
  for limit, used in (
    ('memory.max', 'memory.current'),
    ('memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes'),
  ):
    try:
      most = int((root / 'sys/fs/cgroup' / limit).read_text())  # 'max' where there is none
      now = int((root / 'sys/fs/cgroup' / used).read_text())
      free.append(most - now + _cache_bytes(root / 'sys/fs/cgroup' / limit))
    except (OSError, ValueError):
      pass
  return min(free, default=None)


def _cache_bytes(limit: pathlib.Path) -> int:
  """Of what a group uses, the files it has read and that can be dropped at once."""
  with (limit.parent / 'memory.stat').open() as file:
    stat = dict(line.split() for line in file)
  return int(stat.get('inactive_file', 0))
