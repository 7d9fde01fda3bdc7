"""What a run directory holds, read once; whatever is missing stays empty and the page says so."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import zipfile
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from etils import epath

from data_builders.errors import UserError

T = TypeVar('T')
PER_LESION = '_per_lesion'
# Of a segmenter: without post-processing, Otsu's threshold, and the difference to that.
BESIDE = (PER_LESION, '_plain', '_otsu', '_gain')


@dataclasses.dataclass(frozen=True)
class Predictions:
  """Content of predictions_<split>.npz."""

  image_ids: np.ndarray  # <U [N]
  group_ids: np.ndarray  # <U [N]
  labels: np.ndarray  # int [N]
  probabilities: np.ndarray  # float [N, K]
  class_names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Examples:
  """Content of examples_<split>.npz."""

  rows: np.ndarray  # int [M], rows of the predictions
  images: np.ndarray  # uint8 [M, h, w, 3]


@dataclasses.dataclass(frozen=True)
class Run:
  """Everything a report is made from."""

  directory: epath.Path
  config: dict[str, Any]
  metrics: dict[str, dict[str, dict[str, Any]]]
  data: dict[str, Any]
  environment: dict[str, Any]
  history: dict[str, list[dict[str, Any]]]  # kind -> one record an epoch, in order of steps
  predictions: dict[str, Predictions]
  examples: dict[str, Examples]
  broken_lines: int  # lines of metrics.jsonl that are no JSON

  @property
  def splits(self) -> list[str]:
    """Names of the evaluated splits, per-lesion ones aside, the one of the headline first."""
    names = [name for name in self.metrics if not name.endswith(BESIDE)]
    named = self.config.get('data')
    test = named.get('test_split', 'test') if isinstance(named, dict) else 'test'
    order = {test: 0, 'test': 1, 'validation': 3}
    return sorted(names, key=lambda name: (order.get(name, 2), name))

  @property
  def class_names(self) -> tuple[str, ...]:
    """Class names in the order of the probabilities, or of the data where nothing is predicted."""
    for predictions in self.predictions.values():
      return predictions.class_names
    return tuple(str(name) for name in self.data.get('class_names', ()))

  def option(self, key: str, default: Any = None) -> Any:
    """Value of a dotted key of the configuration."""
    value: Any = self.config
    for part in key.split('.'):
      if not isinstance(value, dict) or part not in value:
        return default
      value = value[part]
    return value


def read_run(run_dir: str | os.PathLike[str]) -> Run:
  """Reads the files of a run directory that exist.

  Args:
    run_dir: Local or gs:// path.

  Returns:
    The run; missing files are empty dictionaries.

  Raises:
    UserError: The directory holds nothing of a run, or a file cannot be understood.
  """
  directory = epath.Path(run_dir)
  names = ('config.json', 'metrics.json', 'data.json', 'environment.json', 'metrics.jsonl')
  if not any((directory / name).exists() for name in names):
    raise UserError(
      f'{directory} holds none of {", ".join(names)}, so there is nothing to report: give the '
      'work directory of a run.'
    )
  config, metrics, data, environment = (read_json(directory / name) for name in names[:4])
  _check_metrics(directory / 'metrics.json', metrics)
  splits = [name for name in metrics if not name.endswith(BESIDE)]
  history, broken_lines = _read_history(directory / 'metrics.jsonl')
  predictions, examples = {}, {}
  for split in splits if config.get('task') != 'segment' else ():
    found = read_npz(directory / f'predictions_{split}.npz', _to_predictions)
    if found is not None:
      predictions[split] = found
      shown = read_npz(directory / f'examples_{split}.npz', _to_examples)
      if shown is not None:
        examples[split] = _checked(shown, len(found.labels), directory, split)
  return Run(
    directory, config, metrics, data, environment, history, predictions, examples, broken_lines
  )


def read_json(path: epath.Path) -> dict[str, Any]:
  """Returns what a JSON file holds; {} where there is none.

  Raises:
    UserError: it is damaged, or holds no object.
  """
  if not path.exists():
    return {}
  try:
    value = json.loads(path.read_text())
  except ValueError as error:
    raise UserError(
      f'{path} is not valid JSON ({error}): restore it or evaluate the run again.'
    ) from error
  if not isinstance(value, dict):
    raise UserError(
      f'{path} holds a {type(value).__name__} instead of a JSON object: restore it or evaluate the '
      'run again.'
    )
  return value


def _check_metrics(path: epath.Path, metrics: dict[str, Any]) -> None:
  """Refuses what is not {split: {metric: {'value', ...}}}."""
  for split, entries in metrics.items():
    odd = [split] if not isinstance(entries, dict) else []
    odd = odd or [f'{split}.{n}' for n, e in entries.items() if not isinstance(e, dict | None)]
    if odd:
      raise UserError(
        f'{path} holds no metrics under {odd[0]!r}: restore it or evaluate the run again.'
      )


def _read_history(path: epath.Path) -> tuple[dict[str, list[dict[str, Any]]], int]:
  """Records per kind; a step told twice (a run that was resumed) counts as it was told last."""
  latest: dict[str, dict[float, dict[str, Any]]] = {}
  broken = 0
  for line in path.read_text().splitlines() if path.exists() else []:
    try:
      record = json.loads(line)
      kind, step = str(record['kind']), float(record['step'])
    except (ValueError, TypeError, KeyError):
      broken += bool(line.strip())
      continue
    latest.setdefault(kind, {})[step] = record
  return {kind: [found[step] for step in sorted(found)] for kind, found in latest.items()}, broken


def read_npz(path: epath.Path, convert: Callable[[Any], T]) -> T | None:
  """Returns what `convert` makes of an .npz file; None where there is none.

  Raises:
    UserError: it is damaged, or lacks an array.
  """
  if not path.exists():
    return None
  try:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
      return convert(arrays)
  except (KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
    raise UserError(
      f'{path} cannot be read ({error}): evaluate the run again with --mode=evaluate.'
    ) from error


def _to_predictions(arrays: Any) -> Predictions:
  return Predictions(
    image_ids=arrays['image_id'],
    group_ids=arrays['group_id'],
    labels=arrays['label'].astype(np.int64),
    probabilities=arrays['probabilities'],
    class_names=tuple(arrays['class_names'].tolist()),
  )


def _to_examples(arrays: Any) -> Examples:
  return Examples(rows=arrays['index'], images=arrays['image'])


def _checked(examples: Examples, count: int, directory: epath.Path, split: str) -> Examples:
  """Refuses rows that the predictions do not have."""
  rows, images = examples.rows, examples.images
  if len(rows) != len(images) or ((rows < 0) | (rows >= count)).any():
    raise UserError(
      f'{directory / f"examples_{split}.npz"} does not belong to predictions_{split}.npz: '
      f'{len(rows)} rows for {len(images)} images of {count} predictions; evaluate the run again.'
    )
  return examples


def number(value: Any) -> float:
  """The value as a float, nan where it is missing or no number."""
  if isinstance(value, bool) or not isinstance(value, int | float):
    return math.nan
  return float(value)
