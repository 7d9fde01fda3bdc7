"""Where the lesion mask of an image comes from: its record, or a folder of predicted masks."""

from __future__ import annotations

import csv
import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from data_builders import identity
from data_builders.errors import UserError

INDEX, ABOUT = 'masks.csv', 'masks.json'
COLUMNS: tuple[str, ...] = ('image_id', 'group_id', 'file', 'area_share', 'confidence', 'reject')


@dataclasses.dataclass(frozen=True)
class MaskFolder:
  """Masks that `--mode=masks` wrote, by the id of their image.

  Attributes:
    path: of the folder.
    files: canonical image id -> file name; '' where the image was rejected and has no mask.
    about: what wrote them: method, run, checkpoint, data set, size.
  """

  path: epath.Path
  files: Mapping[str, str]
  about: Mapping[str, Any]

  def read(self, image_id: str) -> bytes | None:
    """The PNG of an image; None where no usable lesion was found.

    Raises:
      UserError: the folder knows nothing of the image, or its file is gone.
    """
    key = identity.canonical_id(image_id)
    if key not in self.files:
      raise UserError(
        f'{self.path} has no mask of image {image_id!r}: write the masks of this data set, all of'
        ' its splits, with --mode=masks.'
      )
    name = self.files[key]
    if not name:
      return None
    try:
      return (self.path / name).read_bytes()
    except OSError as error:
      raise self.damaged(image_id, f'cannot be read ({error.strerror or error})') from error

  def check(self, image_ids: Sequence[str], told: str) -> None:
    """Refuses images that the index does not list, or whose PNG is gone.

    Args:
      image_ids: of all images that are needed.
      told: what they are, for the message.

    Raises:
      UserError: the first that is missing, and how many are.
    """
    unknown = [name for name in image_ids if identity.canonical_id(name) not in self.files]
    if unknown:
      raise UserError(
        f'{self.path / INDEX} lists no mask of {len(unknown):,} of the {len(image_ids):,} images of'
        f' {told}, such as {unknown[0]!r}: write the masks of this data set, all of its splits,'
        ' with --mode=masks (one data set a folder, so that pooled ones cannot use them).'
      )
    there = {'', *(path.name for path in self.path.iterdir())}
    gone = [name for name in image_ids if self.files[identity.canonical_id(name)] not in there]
    if gone:
      raise self.damaged(gone[0], 'is gone')

  def damaged(self, image_id: str, reason: str) -> UserError:
    """The sentence about the mask of an image; the reason continues it."""
    name = self.files[identity.canonical_id(image_id)]
    return UserError(
      f'The mask {name!r} of image {image_id!r}, which {self.path / INDEX} lists, {reason}: write'
      ' the masks again with --mode=masks.'
    )


def summary(path: str) -> dict[str, Any]:
  """Returns what a run remembers of the masks in a folder: method, counts, cost.

  Raises:
    UserError: as `open_folder`.
  """
  about = open_folder(path).about
  kept = ('method', 'data', 'fingerprint', 'sha256', 'images', 'rejected', 'ms_per_image', 'commit')
  return {name: about.get(name) for name in kept}


@functools.lru_cache(maxsize=8)
def open_folder(path: str) -> MaskFolder:
  """Opens a folder that `--mode=masks` wrote.

  Raises:
    UserError: there is none, or its index is damaged.
  """
  folder = epath.Path(path)
  if not (folder / INDEX).exists() or not (folder / ABOUT).exists():
    raise UserError(
      f"config.data.lesion_masks={path!r} is neither 'true' nor a folder with {INDEX} and {ABOUT}:"
      ' write one with --mode=masks.'
    )
  try:
    about = json.loads((folder / ABOUT).read_text())
    with (folder / INDEX).open() as file:
      rows = _checked(csv.DictReader(file), about)
    files = {identity.canonical_id(row['image_id']): row['file'] for row in rows}
  except (ValueError, csv.Error) as error:
    raise UserError(
      f'{folder / INDEX} or {ABOUT} beside it is damaged ({error}): write the masks again with'
      ' --mode=masks.'
    ) from error
  if len(files) != len(rows):
    raise UserError(f'{folder / INDEX} lists an image twice: write the masks again.')
  unsafe = [name for name in files.values() if '/' in name or name.startswith('.')]
  if unsafe:
    raise UserError(f'{folder / INDEX} lists {unsafe[0]!r}, which is no file of that folder.')
  return MaskFolder(folder, files, about)


def _checked(reader: csv.DictReader[str], about: Any) -> list[dict[str, str]]:
  """The rows of an index that is whole.

  Raises:
    ValueError: a column or a value is missing, or there are others than were written.
  """
  if not isinstance(about, dict):
    raise ValueError(f'{ABOUT} holds no JSON object')
  absent = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
  if absent:
    raise ValueError(f'it has no column {absent[0]!r}')
  rows = []
  for row in reader:
    where = f'line {reader.line_num}, image {row["image_id"]!r}'
    if None in row or None in row.values():  # what csv makes of more or fewer values
      raise ValueError(f'{where}, has not one value for each column')
    if bool(row['file']) == bool(row['reject']):
      raise ValueError(f'{where}, must have either a file or a reason why it was rejected')
    rows.append(row)
  if about.get('images', len(rows)) != len(rows):
    raise ValueError(f'it lists {len(rows)} images where {about["images"]} were written')
  return rows
