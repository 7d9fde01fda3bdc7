"""What is recorded of the patients and the origin of a split's images, read on demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.data.columns import one_line, subset
from lesionjax.data.records import Source, Split

TEXTS = ('sex', 'site', 'source')
_READ_AHEAD = 512  # records per read; ArrayRecord reads these in parallel


def read_metadata(split: Split) -> dict[str, np.ndarray]:
  """Reads sex, site, source and age of every image; of pooled data sets from its own.

  A record lies in the file in one piece, so this costs reading the images too: a second for 100 MB.

  Args:
    split: the records.

  Returns:
    sex, site and source str [N], '' where not recorded; age float64 [N] in years, nan where not.
    What no data set of the split has as a feature is absent.

  Raises:
    UserError: a record cannot be read.
  """
  found: dict[str, np.ndarray] = {}
  for number, source in enumerate(split.sources):
    rows = np.flatnonzero(split.places[:, 0] == number)
    known = source.small_features or {}
    names = [name for name in (*TEXTS, 'age') if name in known]
    if not names or not len(rows):
      continue
    records = _read(source, subset(known, names), split.places[rows, 1].tolist())
    for name in names:
      column = found.setdefault(name, _empty(name, len(split)))
      values = [record[name] for record in records]
      column[rows] = values if name == 'age' else [value.decode() for value in values]
  return {name: v if name == 'age' else v.astype(np.str_) for name, v in found.items()}


def _empty(name: str, count: int) -> np.ndarray:
  # Texts stay objects until all sources are read: the longest decides how wide an array is.
  return np.full(count, np.nan) if name == 'age' else np.full(count, '', object)


def _read(source: Source, features: Any, rows: Sequence[int]) -> list[dict[str, Any]]:
  records: Any = source.records
  found: list[dict[str, Any]] = []
  for start in range(0, len(rows), _READ_AHEAD):
    some = list(rows[start : start + _READ_AHEAD])
    try:
      found += [features.deserialize_example_np(record) for record in records.__getitems__(some)]
    except Exception as error:  # whatever the file format's reader raises
      raise UserError(
        f'Records of {source.name} cannot be read ({one_line(error)}); delete the prepared data set'
        ' and build it again.'
      ) from error
  return found
