"""Endless training batches and one-pass evaluation batches, exactly resumable."""

from __future__ import annotations

import os
from typing import Any

import grain
import jax
import numpy as np
from grain import experimental as grain_experimental

from data_builders.errors import UserError
from lesionjax.data.decode import Size, sides
from lesionjax.data.records import Split
from lesionjax.data.sampling import Order

Batch = dict[str, np.ndarray]
_ENDLESS = 2**48  # batches; Grain wants a length


def train_stream(
  split: Split,
  batch_size: int,
  size_px: Size,
  seed: int,
  sampling: str = 'uniform',
  *,
  process_index: int = 0,
  process_count: int = 1,
  num_threads: int | None = None,
  pixels: np.ndarray | None = None,
  images: bool = True,
  labels: np.ndarray | None = None,
) -> grain.IterDataset:
  """Endless batches whose order is a pure function of (labels, seed, sampling).

  Global batch t holds stream positions t*B .. (t+1)*B - 1 and process p of P its p-th contiguous
  block, so the order of the images does not depend on the number of processes. The state of the
  iterator (`get_state`, `set_state`) is the number of the next batch.

  Args:
    split: the records.
    batch_size: B, over all processes.
    size_px: side, or height and width, of the decoded images.
    seed: of the order.
    sampling: of `sampling.SAMPLINGS`, see `sampling.Order`.
    process_index: p.
    process_count: P; must divide B.
    num_threads: that read and decode, one batch each; None is one per core, 0 is none.
    pixels: all images, decoded by `memory.decode_all`; None decodes each when its turn comes.
    images: whether batches hold images; without, who has them elsewhere picks them by `index`.
    labels: int [N'] of all rows of `pixels`, where these go on behind the records; None is those of
      the records.

  Returns:
    Iterates over {'image': uint8 [b, H, W, C], 'label': int32 [b], 'index': int64 [b]} with
    b = B / P and C = `split.channels`; `index` is the record's row in `split`.
  """
  labels = split.labels if labels is None else labels
  order = Order(labels, seed, sampling)
  share = (process_index, process_count)
  source = _Batches(split, labels, size_px, batch_size, share, _ENDLESS, order, pixels, images)
  return _threaded(source, num_threads)


def eval_stream(
  split: Split,
  batch_size: int,
  size_px: Size,
  *,
  process_index: int = 0,
  process_count: int = 1,
  num_threads: int | None = None,
  pixels: np.ndarray | None = None,
  labels: np.ndarray | None = None,
) -> grain.IterDataset:
  """Every record exactly once, in order; the last batch is padded.

  Args:
    split: the records.
    batch_size: over all processes.
    size_px: side, or height and width, of the decoded images.
    process_index: of this process; it gets the same rows of each batch as in `train_stream`.
    process_count: must divide `batch_size`.
    num_threads: as in `train_stream`.
    pixels: as in `train_stream`.
    labels: as in `train_stream`; with them every row of `pixels` comes once.

  Returns:
    Iterates over the keys of `train_stream` and 'valid' bool [b]. Padding rows have valid False,
    a black image, label 0 and index -1.
  """
  labels = split.labels if labels is None else labels
  batches = -(-len(labels) // batch_size)
  share = (process_index, process_count)
  source = _Batches(split, labels, size_px, batch_size, share, batches, None, pixels)
  return _threaded(source, num_threads)


def to_device(
  dataset: grain.IterDataset, sharding: jax.sharding.Sharding, *, buffer_size: int = 2
) -> grain.IterDataset:
  """Moves batches to the devices ahead of their use; the iterator still resumes exactly.

  Args:
    dataset: of this process's rows.
    sharding: of the leading axis of the global batch.
    buffer_size: batches waiting on the devices.

  Returns:
    Iterates over global `jax.Array`s, whatever the number of processes.
  """

  def put(batch: Batch) -> dict[str, jax.Array]:
    return {
      key: jax.make_array_from_process_local_data(sharding, value) for key, value in batch.items()
    }

  return grain_experimental.ThreadPrefetchIterDataset(
    dataset.map(put), prefetch_buffer_size=buffer_size
  )


class _Batches:
  """Random access to whole batches of this process: `source[t]` is its part of global batch t.

  A batch is one element so that its images are decoded straight into their rows, by one thread,
  without a second copy and without a hand-over per image.
  """

  def __init__(
    self,
    split: Split,
    labels: np.ndarray,
    size_px: Size,
    batch_size: int,
    share: tuple[int, int],  # index and count of the processes
    length: int,
    order: Order | None,
    pixels: np.ndarray | None = None,
    images: bool = True,
  ):
    process_index, process_count = share
    if batch_size <= 0 or batch_size % process_count:
      raise UserError(
        f'train.batch_size is {batch_size}; it must be a positive multiple of the number of '
        f'processes ({process_count}).'
      )
    self._split = split
    self._labels = labels
    self._size_px = size_px
    self._batch_size = batch_size
    self._local_size = batch_size // process_count
    self._offset = process_index * self._local_size
    self._length = length
    self._order = order
    self._pixels = pixels
    self._images = images

  def __len__(self) -> int:
    return self._length

  def __getitem__(self, index: Any) -> Batch:
    start = int(index) * self._batch_size + self._offset
    positions = range(start, start + self._local_size)
    if self._order is None:
      rows = np.array([p if p < len(self._labels) else -1 for p in positions], np.int64)
    else:
      rows = np.array([self._order(p) for p in positions], np.int64)
    valid = rows >= 0
    label = np.where(valid, self._labels[rows], 0).astype(np.int32)
    batch = {'label': label, 'index': rows}
    if self._images:
      batch['image'] = self._read(rows, valid)
    return batch if self._order is not None else {**batch, 'valid': valid}

  def _read(self, rows: np.ndarray, valid: np.ndarray) -> np.ndarray:
    image = np.zeros((len(rows), *sides(self._size_px), self._split.channels), np.uint8)
    if self._pixels is not None:
      image[valid] = self._pixels[rows[valid]]
      return image
    for at in np.flatnonzero(valid):
      image[at] = self._split.decode(rows[at], self._size_px)
    return image


def _threaded(source: _Batches, num_threads: int | None) -> grain.IterDataset:
  threads = (os.cpu_count() or 1) if num_threads is None else num_threads
  waiting = threads + 1 if threads else 0
  options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=waiting)
  return grain.MapDataset.source(source).to_iter_dataset(options)
