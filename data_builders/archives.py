"""Images inside zip archives, found by id and read one at a time; nothing is ever extracted."""

from __future__ import annotations

import lzma
import os
import pathlib
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from data_builders.errors import UserError

MAX_MEMBER_BYTES = 256 * 2**20
"""No published image comes near this; a member that claims more is refused unread."""


class ZippedImages:
  """The members of one or several zip archives whose names end in a suffix, by id.

  `NAME/ISIC_0024306_segmentation.png` with the suffix `_segmentation.png` has the id
  `ISIC_0024306`, wherever it lies inside the archive. Members under `__MACOSX` and others that
  start with `._` (resource forks that macOS adds) are no images. Reading is thread-safe.
  """

  def __init__(
    self,
    paths: Iterable[str | os.PathLike[str]],
    suffix: str,
    ignored: Collection[str] = (),
  ):
    """Opens the archives and lists their members.

    Args:
      paths: zip archives.
      suffix: how the wanted members end, whatever their case.
      ignored: ids to leave out.

    Raises:
      UserError: an archive is damaged, a member's path leaves it, or an id occurs twice.
    """
    self._members: dict[str, tuple[zipfile.ZipFile, zipfile.ZipInfo]] = {}
    self._archives: list[zipfile.ZipFile] = []
    self._ignored = frozenset(ignored)
    try:
      for path in map(pathlib.Path, paths):
        self._archives.append(_open(path))
        self._list(self._archives[-1], suffix)
    except UserError:
      self.close()
      raise

  def __enter__(self) -> ZippedImages:
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  def close(self) -> None:
    """Closes all archives."""
    for archive in self._archives:
      archive.close()

  def ids(self) -> set[str]:
    """Returns the ids of all members."""
    return set(self._members)

  def ids_in(self, path: str | os.PathLike[str]) -> set[str]:
    """Returns the ids of the members of one of the archives."""
    return {
      image_id
      for image_id, (archive, _) in self._members.items()
      if archive.filename == os.fspath(path)
    }

  def archive_names(self) -> list[str]:
    """Returns the paths of the archives."""
    return [str(archive.filename) for archive in self._archives]

  def num_bytes(self, image_id: str) -> int:
    """Returns the size of a member."""
    return self._members[image_id][1].file_size

  def where(self, image_id: str) -> str:
    """Returns 'ARCHIVE, member NAME' for messages."""
    archive, info = self._members[image_id]
    return f'{archive.filename}, member {info.filename}'

  def read(self, image_id: str) -> bytes:
    """Returns the bytes of a member, checked against the archive's CRC.

    Raises:
      UserError: the member is damaged, encrypted, packed in an unknown way or too large.
    """
    archive, info = self._members[image_id]
    if info.file_size > MAX_MEMBER_BYTES:
      raise UserError(
        f'{self.where(image_id)}, claims to hold {info.file_size} bytes, more than the'
        f' {MAX_MEMBER_BYTES} allowed for an image; restore the official archive.'
      )
    try:
      return archive.read(info)
    except (
      zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError
    ) as error:  # fmt: skip
      raise UserError(
        f'{self.where(image_id)}, cannot be read ({error}); download the archive again.'
      ) from error

  def _list(self, archive: zipfile.ZipFile, suffix: str) -> None:
    for info in archive.infolist():
      parts = pathlib.PurePosixPath(info.filename).parts
      if not parts or info.is_dir() or '__MACOSX' in parts or parts[-1].startswith('._'):
        continue
      if info.filename.startswith('/') or '..' in parts or '\\' in info.filename:
        raise UserError(
          f"{archive.filename} has a member '{info.filename}' whose path leaves the archive;"
          ' do not use this file, download the official one.'
        )
      if not parts[-1].lower().endswith(suffix):
        continue
      image_id = parts[-1][: -len(suffix)]
      if image_id in self._ignored:
        continue
      if image_id in self._members:
        raise UserError(
          f'{image_id} is twice in the archives: {self.where(image_id)}, and {archive.filename},'
          f' member {info.filename}; keep one of them.'
        )
      self._members[image_id] = (archive, info)


def check_complete(
  members: ZippedImages,
  image_ids: Collection[str],
  row_name: str,
  member_name: str,
  allow_missing: bool = False,
) -> list[str]:
  """Checks that archives and table name the same images.

  Args:
    members: the archives.
    image_ids: the table's ids.
    row_name: how to name rows of the table, as 'rows of FILE'.
    member_name: what the archives hold, as 'image'.
    allow_missing: whether rows may be without member.

  Returns:
    The ids of rows without a member, sorted; empty unless they are allowed.

  Raises:
    UserError: a row without a member or a member without a row; says how many and names five.
  """
  archive_names = ', '.join(members.archive_names())
  without_member = sorted(set(image_ids) - members.ids())
  if without_member and (not allow_missing or len(without_member) == len(set(image_ids))):
    raise UserError(
      f'{len(without_member)} of the {len(image_ids)} {row_name} have no {member_name} in'
      f' {archive_names} ({some(without_member)}); complete the archives, or build what is there'
      ' with --allow_missing.'
    )
  without_row = sorted(members.ids() - set(image_ids))
  if without_row:
    raise UserError(
      f'{len(without_row)} {member_name}s in {archive_names} are not in the {row_name}'
      f' ({some(without_row)}); complete the table or remove the {member_name}s.'
    )
  return without_member


def check_all(
  records: dict[str, Any],
  splits: dict[str, list[str]],
  rows: str,
  allow_missing: bool,
  **members: ZippedImages,
) -> list[str]:
  """Checks archives against a table and drops the records that they leave incomplete.

  Args:
    records: image id -> its record; changed.
    splits: split name -> image ids; changed.
    rows: where they come from, as 'rows of FILE'.
    allow_missing: whether a record may be without one of the members.
    **members: what a record needs, as `image=ZippedImages(...)`.

  Returns:
    The ids of the records that were dropped, sorted.

  Raises:
    UserError: as `check_complete`.
  """
  if not records:
    raise UserError(f'There are no {rows}: restore the official files.')
  missing: set[str] = set()
  for name, archive in members.items():
    missing.update(check_complete(archive, records, rows, name, allow_missing))
  for image_id in missing:
    del records[image_id]
  for split, image_ids in list(splits.items()):
    splits[split] = [image_id for image_id in image_ids if image_id not in missing]
    if not splits[split]:  # TFDS cannot read a split without records.
      del splits[split]
  return sorted(missing)


def some(names: Sequence[str]) -> str:
  """Returns the first five names, for messages."""
  return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')


def _open(path: pathlib.Path) -> zipfile.ZipFile:
  try:
    return zipfile.ZipFile(path)
  except (zipfile.BadZipFile, EOFError, ValueError, RuntimeError) as error:
    raise UserError(
      f'{path} is not a complete zip archive ({error}; {path.stat().st_size} bytes); it was'
      ' probably cut off, download it again.'
    ) from error
  except OSError as error:
    raise UserError(f'{path} cannot be read ({error.strerror}); check the path.') from error
