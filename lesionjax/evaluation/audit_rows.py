"""What an audit looks at: one row an image, from CSV tables."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from data_builders import groups, schema, tables
from data_builders.errors import UserError
from lesionjax.evaluation.image_files import ReadImage

IMAGE_COLUMNS = ('image', 'image_id', 'image_name', 'isic_id')
TRAIN_NAMES = ('train', 'training')


@dataclasses.dataclass(frozen=True)
class Rows:
  """N images of one table or of one or several data sets.

  Attributes:
    what: the table or the data sets, for the report.
    image_ids: [N]; an id may occur more than once, which is a finding.
    splits: [N]; None where no split is looked at.
    labels: [N] class names; '' throughout where there are none.
    groups: str [N], connected through all that `group_by` names and through equal image ids.
    group_by: the columns that connect.
    sources: [N] data set of each row; '' throughout for a table.
    folds: int [N], -1 where a row has none; None where there are no folds.
    dropped: how many rows were left out on request.
    read: gives the encoded image of an id; None where the rows come without images.
    shaped: bool [N], whether a generator was trained on the image or its lesion, whose images stand
      among the rows; None without such images.
  """

  what: str
  image_ids: Sequence[str]
  splits: Sequence[str] | None
  labels: Sequence[str]
  groups: np.ndarray
  group_by: tuple[str, ...]
  sources: Sequence[str]
  folds: np.ndarray | None = None
  dropped: int = 0
  read: ReadImage | None = None
  shaped: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.image_ids)


@dataclasses.dataclass(frozen=True)
class TableOptions:
  """Which columns of a table mean what.

  Attributes:
    path: the table.
    group: columns that connect images.
    label: the column of classes, or several one-hot columns; none means no classes.
    split: the column of splits; '' means none.
    image: the column of image ids; '' means the one of `IMAGE_COLUMNS` that is there.
    join: a second table whose columns are added by image id; '' means none.
    drop: 'FILE.csv:COLUMN', image ids that are left out; '' means none.
  """

  path: str | os.PathLike[str]
  group: tuple[str, ...]
  label: tuple[str, ...] = ()
  split: str = ''
  image: str = ''
  join: str = ''
  drop: str = ''


def from_table(options: TableOptions) -> Rows:
  """Reads a table, joins a second one, and connects its images to groups.

  Raises:
    UserError: a file or a column is missing or damaged, a row has no split or no class, or a row
      of the table is missing in the joined one.
  """
  header = tables.read_header(options.path)
  key = options.image or _guess_image_column(options.path, header)
  table = tables.read_table(options.path, (key,), key, unique=False)
  table, dropped = _drop(table, key, options.drop)
  if options.join:
    table, header = _join(table, header, key, options.join)
  wanted = (key, *filter(None, [options.split]), *options.group, *options.label)
  _require(table, header, options.join, wanted)
  image_ids = table.column(key)
  splits = table.column(options.split) if options.split else None
  for row, split in enumerate(splits or ()):
    if not split:
      raise UserError(
        f"{table.where(row)} has no value in the split column '{options.split}'; every image must"
        ' have a split.'
      )
  columns = [table.column(name) for name in options.group]
  return Rows(
    what=os.fspath(options.path) + (f' + {options.join}' if options.join else ''),
    image_ids=image_ids,
    splits=splits,
    labels=_labels(table, options.label),
    groups=groups.connect(image_ids, *columns, image_ids),
    group_by=options.group,
    sources=[''] * len(image_ids),
    dropped=dropped,
  )


def training_name(splits: Sequence[str], given: str = '') -> str:
  """Returns the name of the training split: the given one, or the one that is called like it.

  Raises:
    UserError: no or several splits are called so.
  """
  names = sorted(set(splits))
  fitting = [name for name in names if name == given or (not given and _is_train(name))]
  if len(fitting) != 1:
    wanted = f'--train={given}' if given else ' or '.join(TRAIN_NAMES)
    raise UserError(
      f'{len(fitting)} of the splits {", ".join(names[:8])} are called {wanted}; name the training'
      ' split with --train=NAME.'
    )
  return fitting[0]


def _is_train(name: str) -> bool:
  return name.lower() in TRAIN_NAMES


def _guess_image_column(path: str | os.PathLike[str], header: Sequence[str]) -> str:
  found = [name for name in IMAGE_COLUMNS if name in header]
  if not found:
    raise UserError(
      f'{path} has none of the columns {", ".join(IMAGE_COLUMNS)} (it has {", ".join(header)});'
      ' name the column of image ids with --image=COLUMN.'
    )
  return found[0]


def _drop(table: tables.Table, key: str, drop: str) -> tuple[tables.Table, int]:
  """Leaves out the rows whose ids a column of another file lists."""
  if not drop:
    return table, 0
  path, _, column = drop.rpartition(':')
  if not path:
    raise UserError(f'--drop={drop} names no column; write --drop=FILE.csv:COLUMN.')
  unwanted = set(tables.read_table(path, (column,), column, unique=False).column(column))
  kept = [row for row, values in enumerate(table.rows) if values[key] not in unwanted]
  dropped = len(table.rows) - len(kept)
  if not dropped or not kept:
    number = 'no' if not dropped else 'every'
    raise UserError(
      f"--drop={drop} drops {number} row of {table.path} (matched on '{key}'); check the column."
    )
  return _rows(table, kept), dropped


def _rows(table: tables.Table, kept: Sequence[int]) -> tables.Table:
  return tables.Table(
    table.path, [table.rows[row] for row in kept], [table.lines[row] for row in kept]
  )


def _join(
  table: tables.Table, header: Sequence[str], key: str, other_path: str
) -> tuple[tables.Table, list[str]]:
  """Adds the columns of another table by image id; a column in both stays as it is."""
  other_header = tables.read_header(other_path)
  other_key = key if key in other_header else _guess_image_column(other_path, other_header)
  other = tables.read_table(other_path, (other_key,), other_key)
  by_id = {row[other_key]: row for row in other.rows}
  for number, row in enumerate(table.rows):
    if row[key] not in by_id:
      raise UserError(
        f'{table.where(number)}: {row[key]} is not in {other_path}; complete the joined table.'
      )
  joined = [by_id[row[key]] | row for row in table.rows]
  both = [*header, *(name for name in other_header if name not in header)]
  return tables.Table(table.path, joined, table.lines), both


def _require(table: tables.Table, header: Sequence[str], join: str, wanted: Sequence[str]) -> None:
  missing = [name for name in wanted if name not in header]
  if missing:
    where = f'{table.path} and {join}' if join else f'{table.path}'
    raise UserError(
      f'{where}: no column {", ".join(missing)}; there are {", ".join(header)}, correct the flag.'
    )


def _labels(table: tables.Table, columns: Sequence[str]) -> list[str]:
  if not columns:
    return [''] * len(table.rows)
  if len(columns) > 1:
    return [schema.one_hot(table, row, columns) for row in range(len(table.rows))]
  labels = table.column(columns[0])
  for row, label in enumerate(labels):
    if not label:
      raise UserError(
        f"{table.where(row)} has no value in the label column '{columns[0]}'; every image must have"
        ' a class.'
      )
  return labels
