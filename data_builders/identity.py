"""Who is who across data sets: one group, one fold and one split for every published image.

HAM10000 and ISIC 2018 Task 1 lie inside ISIC 2019, whose tables tell which images show one lesion.
`identity.csv` holds the outcome for all of them and for ISIC 2020, so that a lesion has the same
fold in every data set it occurs in, whichever of the tables is at hand. Its columns:

- `image_id`: the archive's id, without the suffix `_downsampled` that ISIC 2019 gives some.
- `group_id`: the lesion (ISIC 2020: the patient); the smallest id of all that are connected.
- `slot`: 0..19; fold = slot // 2, and 0-13 are train, 14-16 validation, 17-19 test.
- `image_slot`: the same when images are split one by one, as some publications do.

It is made by `python -m data_builders.make_identity` and is part of the data sets' versions.
"""

from __future__ import annotations

import csv
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_builders import folds, groups
from data_builders.errors import UserError

PATH = pathlib.Path(__file__).with_name('identity.csv')
COLUMNS = ('image_id', 'group_id', 'slot', 'image_slot')
GENERATED_PREFIX = 'generated-'
"""Of the id and group of every image that a model made: no image of an archive is named so."""


def canonical_id(image_id: str) -> str:
  """Returns the id that an image has in all data sets (ISIC 2019 renames the ones it shrank)."""
  return image_id.removesuffix('_downsampled')


@functools.cache
def table() -> dict[str, tuple[str, int, int]]:
  """Returns canonical image id -> (group, slot, slot of the split image by image)."""
  with PATH.open(newline='', encoding='utf-8') as file:
    return {
      row['image_id']: (row['group_id'], int(row['slot']), int(row['image_slot']))
      for row in csv.DictReader(file)
    }


def assign(
  image_ids: Sequence[str],
  id_columns: Sequence[Sequence[str]],
  labels: Sequence[int],
  by_image: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
  """Gives every image its group and its slot: those of the shipped table where it is known.

  Images that the table does not know (a test's, a private extension's) join the groups they share
  an id with; groups of unknown images alone are spread evenly over the slots.

  Args:
    image_ids: N unique image ids.
    id_columns: columns of N lesion or patient ids, '' where missing, which connect images.
    labels: [N] class of every image.
    by_image: whether images are split one by one, whatever their groups.

  Returns:
    group ids, str [N], and slots, int32 [N].

  Raises:
    UserError: an id connects two images whose groups the table keeps apart.
  """
  _check_unique(image_ids)
  known = [table().get(canonical_id(image_id)) for image_id in image_ids]
  connected = groups.connect(
    image_ids,
    *id_columns,
    [entry[0] if entry else '' for entry in known],
    pairs=groups.near_duplicate_pairs(),
  )
  fixed: dict[str, tuple[str, str, int]] = {}
  for image_id, group, entry in zip(image_ids, connected, known, strict=True):
    if entry:
      name, other, _ = fixed.setdefault(str(group), (entry[0], image_id, entry[1]))
      if name != entry[0]:
        raise UserError(
          f'{image_id} and {other} are connected by the given table but belong to different groups'
          f' ({entry[0]}, {name}) in {PATH.name}: restore the official table.'
        )
  group_ids = np.array(
    [fixed[str(group)][0] if str(group) in fixed else group for group in connected]
  )
  if by_image:
    slots = np.array([entry[2] if entry else -1 for entry in known], np.int32)
  else:
    slots = np.array([fixed[str(group)][2] if str(group) in fixed else -1 for group in connected])
  new = slots < 0
  if new.any():
    units = np.asarray(image_ids)[new] if by_image else connected[new]
    slots[new] = folds.assign_slots(units, np.asarray(labels)[new])
  return group_ids, slots.astype(np.int32)


def _check_unique(image_ids: Sequence[str]) -> None:
  first: dict[str, str] = {}
  for image_id in image_ids:
    other = first.setdefault(canonical_id(image_id), image_id)
    if other != image_id:
      raise UserError(
        f'{other} and {image_id} are one image under two ids; remove one of the rows.'
      )


def split(
  records: dict[str, dict[str, Any]],
  classes: Sequence[str],
  id_columns: Sequence[Sequence[str]],
  by_image: bool,
) -> dict[str, list[str]]:
  """Writes `group_id` and `fold` into records and divides them into splits.

  Args:
    records: image id -> its record; changed.
    classes: [N] class name of every record, for the spread of images that the table lacks.
    id_columns: as in `assign`.
    by_image: whether images are split one by one.

  Returns:
    Split name -> its image ids; splits without images are left out.
  """
  image_ids = list(records)
  _, labels = np.unique(np.asarray(classes, dtype=np.str_), return_inverse=True)
  group_ids, slots = assign(image_ids, id_columns, labels.tolist(), by_image)
  splits: dict[str, list[str]] = {name: [] for name in folds.SPLIT_SLOTS}
  rows = zip(image_ids, group_ids, folds.fold_numbers(slots), folds.split_names(slots), strict=True)
  for image_id, group_id, fold, name in rows:
    records[image_id] |= {'group_id': str(group_id), 'fold': fold}
    splits[str(name)].append(image_id)
  return {name: members for name, members in splits.items() if members}
