"""Official files: taken from a manual directory, or downloaded and checked."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import requests
from tensorflow_datasets.core import download
from tensorflow_datasets.core.download import download_manager

from data_builders.errors import UserError


@dataclasses.dataclass(frozen=True)
class OfficialFile:
  """A published file.

  A checksum that nobody has published or measured stays None; it is computed when the file is
  used and recorded with the data set, never made up. Files of a `part`, such as an official test
  set, may be left out of a manual directory: all of them or none.
  """

  name: str
  url: str
  num_bytes: int | None = None
  md5: str | None = None
  sha256: str | None = None
  other_names: tuple[str, ...] = ()
  part: str = ''

  def find(self, directory: pathlib.Path) -> pathlib.Path | None:
    """Returns the file's path inside a directory, under any of its names, or None."""
    candidates = (directory / name for name in (self.name, *self.other_names))
    return next((path for path in candidates if path.is_file()), None)


def instructions(files: Sequence[OfficialFile]) -> str:
  """Returns where to get the files, for TFDS's message."""
  return 'Files and addresses:\n' + '\n'.join(f'{file.name} from {file.url}' for file in files)


def manual_paths(
  directory: str | os.PathLike[str], files: Sequence[OfficialFile]
) -> dict[str, pathlib.Path]:
  """Finds all official files in a manual directory.

  Args:
    directory: where the user has put them.
    files: what is needed. A part is left out where none of its archives is there: tables alone
      are no reason to ask for gigabytes.

  Returns:
    File name -> path.

  Raises:
    UserError: one is missing; says from where to download it and to which path.
  """
  directory = pathlib.Path(directory).expanduser()
  if directory.exists() and not directory.is_dir():
    raise UserError(f'The manual directory {directory} is a file; give the directory it lies in.')
  if not directory.is_dir():
    raise UserError(
      f'The manual directory {directory} does not exist; create it and download'
      f' {", ".join(f"{file.name} from {file.url}" for file in files)} into it.'
    )
  parts = {''} | {
    file.part for file in files if file.name.endswith('.zip') and file.find(directory)
  }
  paths = {}
  for file in files:
    path = file.find(directory)
    if file.part not in parts:
      continue
    if path is None:
      raise UserError(
        f'{file.name} is missing in the manual directory: download it from {file.url} to'
        f' {directory / file.name}.'
      )
    paths[file.name] = path
  return paths


def locate(
  manager: download.DownloadManager, files: Sequence[OfficialFile]
) -> dict[str, pathlib.Path]:
  """Finds the official files: in TFDS's manual directory if any of them is there, else online.

  Args:
    manager: TFDS's download manager.
    files: what is needed.

  Returns:
    File name -> path.

  Raises:
    UserError: a file is missing, cannot be downloaded, or is not the published one.
  """
  try:
    directory = pathlib.Path(manager.manual_dir)
  except (AssertionError, ValueError):  # Absent or empty.
    directory = None
  if directory and any(file.find(directory) for file in files):
    return manual_paths(directory, files)
  return {file.name: _fetch(manager, file) for file in files}


def fingerprint(path: pathlib.Path, file: OfficialFile) -> dict[str, Any]:
  """Returns size and checksums of a source file, and whether it is the published one.

  `official` is None where no checksum of the published file is known.
  """
  md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
  num_bytes = 0
  with path.open('rb') as stream:
    while block := stream.read(2**20):
      num_bytes += len(block)
      sha256.update(block)
      if file.md5:
        md5.update(block)
  official = None
  if file.sha256 or file.md5:
    official = file.sha256 in (None, sha256.hexdigest()) and file.md5 in (None, md5.hexdigest())
  return {'bytes': num_bytes, 'sha256': sha256.hexdigest(), 'official': official}


def is_like(path: pathlib.Path, known: Mapping[str, Any]) -> bool:
  """Returns whether a file is the one of a fingerprint; large ones are compared by size alone."""
  size = path.stat().st_size
  if size != known['bytes'] or size > 64 * 2**20:
    return size == known['bytes']
  return hashlib.sha256(path.read_bytes()).hexdigest() == known['sha256']


def _fetch(manager: download.DownloadManager, file: OfficialFile) -> pathlib.Path:
  """Downloads one file, or takes it from TFDS's cache, and checks what is known of it."""
  advice = f'download {file.name} by other means into a directory and pass it with --manual_dir'
  try:
    # TFDS retries an unreachable host for minutes before it says so.
    requests.head(file.url, timeout=30)
    path = pathlib.Path(manager.download(file.url))
  except download.DownloadError as error:
    raise UserError(f'{file.url} could not be downloaded ({error}); {advice}.') from error
  except requests.RequestException as error:
    reason = type(error).__name__
    raise UserError(f'{file.url} could not be reached ({reason}); {advice}.') from error
  except download_manager.NonMatchingChecksumError as error:
    raise UserError(
      f'{file.name} from {file.url} does not have the published checksum; start again, or {advice}.'
    ) from error
  measured = fingerprint(path, file)
  if measured['official'] is False:
    path.unlink()  # Otherwise the next build would take it from the cache.
    raise UserError(
      f'{file.name} from {file.url} does not have the published checksum ({measured["bytes"]} of'
      f' {file.num_bytes} bytes came); start again, or {advice}.'
    )
  return path
