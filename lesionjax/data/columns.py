"""The small features of a split, read once and kept beside the records."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from data_builders.errors import UserError
from lesionjax.host import files

COLUMNS = ('image_id', 'group_id', 'label', 'fold')
_READ_AHEAD = 512  # records per read when scanning; ArrayRecord reads these in parallel


def read_columns(builder: Any, split: str, source: Sequence[bytes]) -> dict[str, np.ndarray]:
  """Every record's `COLUMNS`; images and masks are skipped unparsed.

  An ArrayRecord holds a record in one piece, so its columns cost reading the images too: a second
  for 70 MB, a minute for 25 GB. They are therefore kept in a file beside the records, where that
  can be written, which lives and dies with the prepared version. Slices of splits are not kept.

  Args:
    builder: TFDS builder of the prepared data set.
    split: name or slice of a split.
    source: the split's serialised records.

  Returns:
    image_id and group_id str [N], label and fold int32 [N]; a data set without classes has label 0.

  Raises:
    UserError: when a record cannot be read.
  """
  path = epath.Path(builder.data_path) / f'columns-{split}.npz'
  keep = split in builder.info.splits
  if keep and (columns := _load(path, builder.info.splits[split])) is not None:
    return columns
  rows = _scan(source, builder.info.features, builder.info.full_name)
  columns = {
    'image_id': np.array([row['image_id'].decode() for row in rows], np.str_),
    'group_id': np.array([row['group_id'].decode() for row in rows], np.str_),
    'label': np.array([row.get('label', 0) for row in rows], np.int32),
    'fold': np.array([row['fold'] for row in rows], np.int32),
  }
  if keep:
    _save(path, columns, builder.info.splits[split])
  return columns


def one_line(error: Exception) -> str:
  """An error's message, fit for the middle of a sentence."""
  text = ' '.join(str(error).split())
  return text if len(text) <= 160 else text[:157] + '...'


def subset(features: Any, keys: Sequence[str]) -> Any:
  """A TFDS feature dictionary that parses only `keys` out of a record."""
  make: Any = tfds.features.FeaturesDict
  return make({key: features[key] for key in keys})


def _scan(source: Any, features: Any, name: str) -> list[dict[str, Any]]:
  small = subset(features, [key for key in COLUMNS if key in features])
  rows: list[dict[str, Any]] = []
  for start in range(0, len(source), _READ_AHEAD):
    stop = min(start + _READ_AHEAD, len(source))
    try:
      records = source.__getitems__(list(range(start, stop)))
      rows += [small.deserialize_example_np(record) for record in records]
    except Exception as error:  # whatever the file format's reader raises
      raise UserError(
        f'Records {start} to {stop - 1} of {name} cannot be read ({one_line(error)}); delete the '
        f'prepared data set and build it again.'
      ) from error
  return rows


def _identity(info: Any) -> np.ndarray:
  """Tells apart two builds of one version, should one be copied over the other."""
  return np.array([info.num_examples, info.num_bytes, *info.shard_lengths], np.int64)


def _load(path: epath.Path, info: Any) -> dict[str, np.ndarray] | None:
  """The kept columns, or None where there are none of this build."""
  if not path.exists():
    return None
  try:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
      if not np.array_equal(archive['identity'], _identity(info)):
        return None
      return {key: archive[key] for key in COLUMNS}
  except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
    return None


def _save(path: epath.Path, columns: dict[str, np.ndarray], info: Any) -> None:
  arrays: Any = {**columns, 'identity': _identity(info)}
  buffer = io.BytesIO()
  np.savez_compressed(buffer, **arrays)
  try:
    files.write_bytes(path, buffer.getvalue())
  except UserError:
    return  # shared data is often read-only: then every opening scans the records
