"""What an evaluated segmenter left in its run directory."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.report.run_files import Run, read_npz


@dataclasses.dataclass(frozen=True)
class MaskPredictions:
  """Content of predictions_<split>.npz that the page shows."""

  image_ids: np.ndarray  # <U [N]
  group_ids: np.ndarray  # <U [N]
  labels: np.ndarray  # int [N]
  class_names: tuple[str, ...]
  lesion_share: np.ndarray  # float [N], of the image, 0..1
  hair_share: np.ndarray  # float [N], of the pixels, 0..1
  network: dict[str, np.ndarray]  # metric -> float [N]
  otsu: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class MaskExamples:
  """Content of examples_<split>.npz."""

  rows: np.ndarray  # int [M], rows of the predictions
  images: np.ndarray  # uint8 [M, h, w, 3]
  masks: np.ndarray  # uint8 [M, h, w], drawn by a person
  predicted: np.ndarray  # bool [M, H, W] at the network's size
  otsu: np.ndarray  # bool [M, H, W]


def read_predictions(run: Run, split: str) -> MaskPredictions | None:
  """Returns the predictions of a split; None where there are none."""
  return read_npz(run.directory / f'predictions_{split}.npz', _to_predictions)


def read_examples(run: Run, split: str, count: int) -> MaskExamples | None:
  """Returns the examples of a split of `count` predictions; None where there are none."""
  path = run.directory / f'examples_{split}.npz'
  found = read_npz(path, _to_examples)
  if found is not None and ((found.rows < 0) | (found.rows >= count)).any():
    raise UserError(f'{path} does not belong to predictions_{split}.npz; evaluate the run again.')
  return found


def _to_predictions(arrays: Any) -> MaskPredictions:
  names = arrays['metric_names'].tolist()
  return MaskPredictions(
    image_ids=arrays['image_id'],
    group_ids=arrays['group_id'],
    labels=arrays['label'].astype(np.int64),
    class_names=tuple(arrays['class_names'].tolist()),
    lesion_share=arrays['lesion_share'],
    hair_share=arrays['hair_share'],
    network=dict(zip(names, arrays['network'].T, strict=True)),
    otsu=dict(zip(names, arrays['otsu'].T, strict=True)),
  )


def _to_examples(arrays: Any) -> MaskExamples:
  keys = ('index', 'image', 'mask', 'predicted', 'otsu')
  return MaskExamples(*(arrays[key] for key in keys))
