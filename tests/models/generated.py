"""Parameters and images drawn by a fixed rule from names and shapes, the same everywhere.

They rest on the raw bits of Philox, which NumPy keeps stable between versions.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
  """Numbers in [-1, 1], float32, that depend on the name and the shape alone."""
  size = int(np.prod(shape, dtype=np.int64))
  bits = np.random.Philox(zlib.crc32(name.encode())).random_raw(-(-size // 2)).view(np.uint32)
  return (bits[:size].astype(np.float32) * np.float32(2**-31) - np.float32(1)).reshape(shape)


def parameter(name: str, shape: tuple[int, ...]) -> np.ndarray:
  """A tensor with timm's name and shape, so scaled that activations neither die nor explode."""
  numbers = uniform(name, shape)
  if name.endswith('running_var') or (name.endswith('weight') and len(shape) == 1):
    return 1 + numbers / 2
  if len(shape) == 1:
    return numbers / 10
  if len(shape) == 3:  # the tokens of a transformer
    return numbers / 2
  return numbers * np.float32((4.5 / np.prod(shape[1:])) ** 0.5)


def parameters(manifest: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
  """All tensors of a model; counters of steps are left out."""
  return {name: parameter(name, shape) for name, shape in manifest.items() if shape}


def image(batch: int, height: int, width: int) -> np.ndarray:
  """Images float32 [B,H,W,3] with mean zero and a variance of one."""
  return uniform('image', (batch, height, width, 3)) * np.float32(3**0.5)
