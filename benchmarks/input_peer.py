"""The peer of the input benchmark: torch's DataLoader doing the same work with OpenCV."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from benchmarks.peers import load_torch
from lesionjax.data.colour import GREY, RGB_TO_YIQ
from lesionjax.data.datasets import open_split
from lesionjax.data.decode import decode_image

_YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)


class AugmentedImages:
  """A map-style data set for DataLoader: record, decoded, warped, jittered; uint8 [S, S, 3]."""

  def __init__(self, data_dir: str, size_px: int, options: Any, reduced: bool):
    self._data_dir = data_dir
    self._size_px = size_px
    self._options = options
    self._reduced = reduced
    self._split = None

  def __len__(self) -> int:
    return 2**31

  def __getitem__(self, position: int) -> tuple[np.ndarray, int]:
    if self._split is None:  # in the worker, which opens the files itself
      self._split = open_split('dermoscopic_jpegs', 'train', self._data_dir)
    index = position % len(self._split)
    image = self._decode(self._split.encoded(index))
    rng = np.random.default_rng((1, position))
    size = self._size_px
    image = cv2.warpAffine(
      image,
      inverse_matrix(rng, size, self._options),
      (size, size),
      flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
      borderMode=cv2.BORDER_REFLECT_101,
    )
    return cv2.transform(image, colour_matrix(rng, image, self._options)), index

  def _decode(self, data: bytes) -> np.ndarray:
    if self._reduced:
      return decode_image(data, self._size_px)
    image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    return cv2.resize(image, (self._size_px, self._size_px), interpolation=cv2.INTER_AREA)


def batches(
  data_dir: str, size_px: int, batch_size: int, options: Any, *, workers: int, reduced: bool
) -> Iterator[Any]:
  """Endless normalised batches, float32 [B, 3, S, S] in channels-last memory.

  Pixels stay uint8 until they have left the workers: a quarter of the bytes to hand over.

  Args:
    data_dir: where the benchmark's records lie.
    size_px: side of the images.
    batch_size: images a batch.
    options: `AugmentOptions`.
    workers: processes.
    reduced: decode with `lesionjax.data.decode` (JPEGs at a fraction of their size, as ours);
      otherwise in full, then INTER_AREA.

  Yields:
    Batches on torch's device.
  """
  torch = load_torch()
  cuda = torch.cuda.is_available()
  torch.set_num_threads(1)  # with the cores busy decoding, a pool here costs more than it gives
  loader = torch.utils.data.DataLoader(
    AugmentedImages(data_dir, size_px, options, reduced),
    batch_size=batch_size,
    num_workers=workers,
    worker_init_fn=_one_thread,
    multiprocessing_context='spawn',  # JAX's threads do not survive a fork
    prefetch_factor=2,
    pin_memory=cuda,
  )
  device = torch.device('cuda' if cuda else 'cpu')
  scale = torch.tensor([1 / (255 * 0.25)] * 3, device=device)
  offset = torch.tensor([-0.5 / 0.25] * 3, device=device)
  for image, _ in loader:
    image = image.to(device, non_blocking=True)
    # Two passes in channels-last memory; the permuted view is what a channels-last model takes.
    yield torch.addcmul(offset, image, scale).permute(0, 3, 1, 2)


def _one_thread(worker: int) -> None:
  cv2.setNumThreads(0)
  load_torch().set_num_threads(1)


def inverse_matrix(rng: np.random.Generator, size: int, options: Any) -> np.ndarray:
  """The affine map that `lesionjax.data.warp.compose_inverse` draws, in NumPy."""
  sign_x = -1.0 if options.flip_horizontal and rng.random() < 0.5 else 1.0
  sign_y = -1.0 if options.flip_vertical and rng.random() < 0.5 else 1.0
  angle = math.radians(rng.uniform(-1, 1) * options.rotation_deg)
  tan = math.tan(math.radians(rng.uniform(-1, 1) * options.shear_deg))
  scale = rng.uniform(*options.scale)
  cos, sin = math.cos(angle), math.sin(angle)
  linear = np.array(
    [
      [(cos - tan * sin) * sign_x, (-sin - tan * cos) * sign_y],
      [sin * sign_x, cos * sign_y],
    ]
  )
  low, high = options.crop_aspect
  area, log_aspect = rng.uniform(*options.crop_area), rng.uniform(math.log(low), math.log(high))
  crop = np.minimum(
    [math.sqrt(area * math.exp(log_aspect)), math.sqrt(area / math.exp(log_aspect))], 1
  )
  linear = crop[:, None] * linear / scale
  centre = np.full(2, (size - 1) / 2)
  shift = rng.uniform(-1, 1, 2) * options.translate * size
  offset = centre + (rng.random(2) - 0.5) * (1 - crop) * size - linear @ (centre + shift)
  return np.concatenate([linear, offset[:, None]], axis=1)


def colour_matrix(rng: np.random.Generator, image: np.ndarray, options: Any) -> np.ndarray:
  """The colour map that `lesionjax.data.colour.colour_matrix` composes, in NumPy, for 0..255."""
  brightness = 1 + rng.uniform(-1, 1) * options.brightness
  contrast = 1 + rng.uniform(-1, 1) * options.contrast
  saturation = 1 + rng.uniform(-1, 1) * options.saturation
  angle = 2 * math.pi * rng.uniform(-1, 1) * options.hue
  cos, sin = math.cos(angle), math.sin(angle)
  turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
  saturate = saturation * np.eye(3) + (1 - saturation) * np.outer(np.ones(3), GREY)
  linear = _YIQ_TO_RGB @ turn @ RGB_TO_YIQ @ saturate * brightness * contrast
  mean_grey = float(np.dot(cv2.mean(image)[:3], GREY))
  offset = np.full((3, 1), (1 - contrast) * brightness * mean_grey)
  return np.concatenate([linear, offset], axis=1).astype(np.float32)
