"""Batches of features that are computed once, in the order that images would have."""

from __future__ import annotations

from typing import Any

import grain
import numpy as np

from lesionjax.data.sampling import Order

_ENDLESS = 2**48  # batches; Grain wants a length


def feature_stream(
  features: np.ndarray,
  labels: np.ndarray,
  batch_size: int,
  seed: int,
  sampling: str = 'uniform',
  *,
  process_index: int = 0,
  process_count: int = 1,
) -> grain.IterDataset:
  """Endless batches of the rows that `stream.train_stream` would read at the same positions.

  The state of the iterator is the number of the next batch, as there, so that either can go on
  where the other stopped.

  Args:
    features: float [N, D].
    labels: int [N].
    batch_size: B, over all processes.
    seed: of the order.
    sampling: see `sampling.Order`.
    process_index: p.
    process_count: P; must divide B.

  Returns:
    Iterates over {'features': float32 [b, D], 'label': int32 [b]} with b = B / P.
  """
  local_size = batch_size // process_count
  order = Order(labels, seed, sampling)

  class Batches:
    def __len__(self) -> int:
      return _ENDLESS

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
      start = int(index) * batch_size + process_index * local_size
      rows = [order(position) for position in range(start, start + local_size)]
      return {
        'features': np.asarray(features[rows], np.float32),
        'label': labels[rows].astype(np.int32),
      }

  options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
  return grain.MapDataset.source(Batches()).to_iter_dataset(options)
