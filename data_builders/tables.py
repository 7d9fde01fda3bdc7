"""Reading the archives' CSV tables strictly: what is not as published is refused in a sentence."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Sequence

from data_builders.errors import UserError

_OTHER_DELIMITERS = {';': 'semicolons', '\t': 'tabs', '|': 'bars'}


@dataclasses.dataclass(frozen=True)
class Table:
  """Rows of a CSV file, with what is needed to name one of them in a message."""

  path: pathlib.Path
  rows: list[dict[str, str]]
  lines: list[int]

  def where(self, row: int) -> str:
    """Returns 'FILE line N' for a row index."""
    return f'{self.path} line {self.lines[row]}'

  def column(self, name: str) -> list[str]:
    """Returns one column; empty strings where the file lacks an optional column."""
    return [row.get(name, '') for row in self.rows]


def read_table(
  path: str | os.PathLike[str], required: Sequence[str], key: str, unique: bool = True
) -> Table:
  """Reads a comma-separated UTF-8 table with a header; a byte order mark is dropped.

  Args:
    path: the CSV file.
    required: columns that must be there; further ones are kept.
    key: the required column whose values must be filled.
    unique: whether the key's values must be unique, too.

  Returns:
    The table, every value stripped of surrounding blanks.

  Raises:
    UserError: the file is empty, not UTF-8, not comma-separated, lacks a column, has a row of
      another length, or a missing or duplicate key.
  """
  path = pathlib.Path(path)
  reader = csv.reader(io.StringIO(_read_text(path), newline=''), strict=True)
  rows: list[dict[str, str]] = []
  lines: list[int] = []
  first_line: dict[str, int] = {}
  try:
    header = [name.strip() for name in next(reader)]
    _check_header(path, header, required)
    for values in reader:
      if not values:  # An empty line.
        continue
      line = reader.line_num
      if len(values) != len(header):
        raise UserError(
          f'{path} line {line} has {len(values)} values where the header names {len(header)}'
          ' columns; restore the line from the official file.'
        )
      row = dict(zip(header, (value.strip() for value in values), strict=True))
      if not row[key]:
        raise UserError(f"{path} line {line} has no '{key}'; restore it from the official file.")
      if unique and row[key] in first_line:
        raise UserError(
          f"{path} line {line} repeats {key} '{row[key]}' of line {first_line[row[key]]}; every"
          ' one must occur once, remove the wrong line.'
        )
      first_line[row[key]] = line
      rows.append(row)
      lines.append(line)
  except csv.Error as error:
    raise UserError(
      f'{path} line {reader.line_num} is not valid CSV ({error}); restore the official file.'
    ) from error
  if not rows:
    raise UserError(f'{path} has a header but no rows; restore the official file.')
  return Table(path, rows, lines)


def read_header(path: str | os.PathLike[str]) -> list[str]:
  """Reads the column names of a table.

  Raises:
    UserError: the file is empty, not UTF-8, not comma-separated, or names a column twice.
  """
  path = pathlib.Path(path)
  first_line = _read_text(path).lstrip().splitlines()[0]
  try:
    header = [name.strip() for name in next(csv.reader([first_line], strict=True))]
  except csv.Error as error:
    raise UserError(f'{path} line 1 is not valid CSV ({error}); restore the file.') from error
  _check_header(path, header, ())
  return header


def _read_text(path: pathlib.Path) -> str:
  try:
    text = path.read_bytes().decode('utf-8-sig')
  except OSError as error:
    raise UserError(f'{path} cannot be read ({error.strerror}); check the path.') from error
  except UnicodeDecodeError as error:
    raise UserError(
      f'{path} is not UTF-8 text (byte {error.start}); save it as comma-separated UTF-8.'
    ) from error
  if not text.strip():
    raise UserError(f'{path} is empty; restore the official file.')
  return text


def _check_header(path: pathlib.Path, header: list[str], required: Sequence[str]) -> None:
  if len(header) == 1:
    for delimiter, name in _OTHER_DELIMITERS.items():
      if delimiter in header[0]:
        raise UserError(
          f'{path} is separated by {name}; save it separated by commas, as the official file is.'
        )
  repeated = sorted({name for name in header if header.count(name) > 1})
  if repeated:
    raise UserError(f"{path} names column '{repeated[0]}' twice; restore the official file.")
  missing = [name for name in required if name not in header]
  if missing:
    plural = 's' if len(missing) > 1 else ''
    raise UserError(
      f'{path} lacks the column{plural} {", ".join(missing)} (it has {", ".join(header)});'
      ' restore the official file.'
    )
