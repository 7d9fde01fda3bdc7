"""One build of a data set at a time, and nothing left of those that failed or were killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def building(target: pathlib.Path, dataset_dir: pathlib.Path) -> Iterator[None]:
  """Holds the lock of a data set while it is built.

  TFDS writes into a directory `incomplete.*` beside the target and renames it at the end. A
  killed build leaves that directory, which nothing reads; whoever holds the lock knows that no
  other build is running and removes it. A data set that is built again is kept aside until the
  new one is there. Directories created in vain are removed.

  Args:
    target: where the prepared data lie, `DATA_DIR/NAME[/CONFIG]/VERSION`; a local path.
    dataset_dir: `DATA_DIR/NAME`.

  Yields:
    Once no other process builds it.
  """
  created = [path for path in dataset_dir.parents if not path.exists()]
  config_existed = (dataset_dir / '.config').exists()
  aside = target.with_name(f'.{target.name}.replaced')
  lock_path = target.with_name(f'.{target.name}.lock')
  lock = _lock(lock_path)
  try:
    for leftover in target.parent.glob(f'incomplete.*_{target.name}'):
      shutil.rmtree(leftover)
    _restore(target, aside)
    yield
  finally:
    _restore(target, aside)
    lock_path.unlink(missing_ok=True)
    lock.close()
    if not target.exists() and not config_existed:
      shutil.rmtree(dataset_dir / '.config', ignore_errors=True)
    within = [path for path in target.parents if path.is_relative_to(dataset_dir)]
    for path in (*within, *created):
      remove_if_empty(path)


def set_aside(target: pathlib.Path) -> None:
  """Moves a prepared data set out of the way; inside `building` only."""
  if target.exists():
    target.rename(target.with_name(f'.{target.name}.replaced'))


def remove_if_empty(path: os.PathLike[str]) -> None:
  """Removes a local directory if it is there and empty."""
  with contextlib.suppress(OSError):
    os.rmdir(path)


def _restore(target: pathlib.Path, aside: pathlib.Path) -> None:
  """Brings back what was set aside if nothing has replaced it, else drops it."""
  if aside.exists() and target.exists():
    shutil.rmtree(aside)
  elif aside.exists():
    aside.rename(target)


def _lock(path: pathlib.Path) -> IO[str]:
  """Waits for an exclusive lock on a file that its holders delete when they are done."""
  while True:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The holder before may delete the directory before, and the file after, it is opened here.
    with contextlib.suppress(FileNotFoundError):
      file = path.open('w')
      fcntl.flock(file, fcntl.LOCK_EX)
      with contextlib.suppress(FileNotFoundError):
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
          return file
      file.close()
