"""Files that are whole or not there: written under another name, then renamed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from etils import epath

from data_builders.errors import UserError


def write_bytes(path: epath.PathLike, content: bytes) -> None:
  """Writes a file, whole or not at all; missing directories are made.

  A process that is killed leaves the old file. An object store (gs://) shows an object only when
  its upload is complete, so there the file is written under its own name at once.

  Args:
    path: a local or gs:// path.
    content: what the file shall hold.

  Raises:
    UserError: the disk is full, read-only or not ours.
  """
  path = epath.Path(path)
  with _disk_errors(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if '://' in os.fspath(path):
      path.write_bytes(content)
      return
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
      temporary.write_bytes(content)
      temporary.replace(path)
    finally:
      temporary.unlink(missing_ok=True)


def write_text(path: epath.PathLike, content: str) -> None:
  """Writes a UTF-8 file, whole or not at all; see `write_bytes`."""
  write_bytes(path, content.encode())


def write_json(path: epath.PathLike, value: Any) -> None:
  """Writes indented JSON, whole or not at all.

  Args:
    path: a local or gs:// path.
    value: dicts, lists, tuples, strings, numbers, None and NumPy scalars and arrays. NaN and
      infinity become null, which every JSON reader understands.

  Raises:
    UserError: the disk is full, read-only or not ours.
    TypeError: the value holds something else.
  """
  text = json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
  write_text(path, text + '\n')


def append_text(path: epath.PathLike, content: str) -> None:
  """Adds text to the end of a file, with one write; object stores get the whole file anew.

  Args:
    path: a local or gs:// path; the file is made when missing.
    content: what to add.

  Raises:
    UserError: the disk is full, read-only or not ours.
  """
  path = epath.Path(path)
  if '://' in os.fspath(path):  # nothing can be appended to an object
    before = path.read_text() if path.exists() else ''
    write_text(path, before + content)
    return
  with _disk_errors(path), path.open('a') as file:
    file.write(content)


def _plain(value: Any) -> Any:
  if isinstance(value, Mapping):
    return {str(key): _plain(item) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return [_plain(item) for item in value]
  if isinstance(value, np.ndarray | np.generic):
    return _plain(value.tolist())
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value


@contextmanager
def _disk_errors(path: epath.Path) -> Iterator[None]:
  """Turns what the operating system says about a disk into one sentence."""
  try:
    yield
  except OSError as error:
    reason = error.strerror or str(error)
    raise UserError(
      f'{path} cannot be written ({reason}): free the disk, or choose a place that can be written.'
    ) from error
