"""Writes identity.csv from the official tables: `python -m data_builders.make_identity TABLES`.

TABLES holds the folders ham10000, isic2018_task1, isic2019 and isic2020 with the official files.
Needed only when the assignment itself is to change, which is a new version of every data set.
"""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Iterable

import numpy as np

from data_builders import archives, command, folds, groups, identity, tables
from data_builders.errors import UserError

ISIC2019_CLASSES = ('MEL', 'NV', 'BCC', 'AK', 'BKL', 'DF', 'VASC', 'SCC')
TOLERANCE = 0.057
"""15 images where 14.2 would be even: HAM10000's 142 vascular lesions cannot come closer."""


def make(directory: pathlib.Path) -> str:
  """Returns the contents of identity.csv.

  Lesions (ISIC 2020: patients) and the pairs of near_duplicates.csv are groups. They are spread so
  that every class of HAM10000, ISIC 2019, Task 1 and ISIC 2020 is even in every fold and split.

  Args:
    directory: holds the official tables in folders named after the data sets.

  Raises:
    UserError: a table is missing or not as published.
  """
  rows = [*_assigned(*_lesions(directory)), *_assigned(*_patients(directory))]
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(identity.COLUMNS)
  writer.writerows(sorted(rows))
  return text.getvalue()


def _assigned(
  image_ids: list[str], group_ids: np.ndarray, columns: list[set[str]]
) -> Iterable[tuple[str, str, int, int]]:
  """Yields the rows of images whose classes (a set of names for every image) are spread evenly."""
  names = {name: index for index, name in enumerate(sorted(set().union(*columns)))}
  memberships = np.zeros((len(image_ids), len(names)), np.int64)
  for row, counted in enumerate(columns):
    memberships[row, [names[name] for name in counted]] = 1
  slots = folds.assign_jointly(group_ids, memberships, TOLERANCE)
  image_slots = folds.assign_jointly(image_ids, memberships, TOLERANCE)
  return zip(image_ids, group_ids.tolist(), slots.tolist(), image_slots.tolist(), strict=True)


def _lesions(directory: pathlib.Path) -> tuple[list[str], np.ndarray, list[set[str]]]:
  """Returns ids, groups and classes of HAM10000, ISIC 2019 and Task 1."""
  ham = tables.read_table(
    directory / 'ham10000' / 'HAM10000_metadata.csv', ('image_id', 'dx'), 'image_id'
  )
  isic2019 = directory / 'isic2019'
  truth = tables.read_table(
    isic2019 / 'ISIC_2019_Training_GroundTruth.csv', ('image', *ISIC2019_CLASSES), 'image'
  )
  metadata = tables.read_table(
    isic2019 / 'ISIC_2019_Training_Metadata.csv', ('image', 'lesion_id'), 'image'
  )
  task1 = directory / 'isic2018_task1' / 'ISIC2018_Task1-2_Training_Input.zip'
  with archives.ZippedImages([task1], '.jpg') as members:
    segmented = members.ids()
  lesion_ids = {identity.canonical_id(row['image']): row['lesion_id'] for row in metadata.rows}
  lesion_ids |= {row['image_id']: row['lesion_id'] for row in ham.rows}
  classes = {identity.canonical_id(row['image']): _one_hot(row) for row in truth.rows}
  ham_classes = {row['image_id']: row['dx'] for row in ham.rows}
  image_ids = sorted({*lesion_ids, *classes, *segmented})
  group_ids = groups.connect(
    image_ids, [lesion_ids.get(name, '') for name in image_ids], pairs=groups.near_duplicate_pairs()
  )
  columns: list[set[str]] = []
  for name in image_ids:
    counted = {f'isic2019 {classes[name]}'} if name in classes else set()
    counted |= {f'ham10000 {ham_classes[name]}'} if name in ham_classes else set()
    if name in segmented:
      counted |= {'task1', f'task1 {classes.get(name)}'}
    if name in classes and (name in ham_classes or name in segmented):
      counted.add(f'both {classes[name]}')  # ISIC 2019 as far as the smaller archives hold it.
    columns.append(counted)
  return image_ids, group_ids, columns


def _patients(directory: pathlib.Path) -> tuple[list[str], np.ndarray, list[set[str]]]:
  """Returns ids, groups and classes of ISIC 2020; duplicates have a group but count for nothing."""
  isic2020 = directory / 'isic2020'
  table = tables.read_table(
    isic2020 / 'ISIC_2020_Training_GroundTruth_v2.csv',
    ('image_name', 'patient_id', 'diagnosis', 'benign_malignant'),
    'image_name',
  )
  pairs = tables.read_table(
    isic2020 / 'ISIC_2020_Training_Duplicates.csv', ('image_name_1', 'image_name_2'), 'image_name_2'
  )
  removed = set(pairs.column('image_name_2'))
  image_ids = table.column('image_name')
  group_ids = groups.connect(
    image_ids,
    table.column('patient_id'),
    pairs=[(row['image_name_1'], row['image_name_2']) for row in pairs.rows],
  )
  columns = [
    set() if row['image_name'] in removed else {row['diagnosis'], row['benign_malignant']}
    for row in table.rows
  ]
  return image_ids, group_ids, columns


def _one_hot(row: dict[str, str]) -> str:
  return next((name for name in ISIC2019_CLASSES if float(row[name]) == 1), '')


def main(argv: list[str]) -> None:
  """Runs the command."""
  if len(argv) != 2:
    raise UserError('Expected one directory: python -m data_builders.make_identity TABLES.')
  text = make(pathlib.Path(argv[1]))
  identity.PATH.write_text(text, encoding='utf-8')
  print(f'{text.count(chr(10)) - 1} images -> {identity.PATH.name}')


if __name__ == '__main__':
  command.run(main)
