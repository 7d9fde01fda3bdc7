"""Groups of images that must not be separated: connected through any shared id or known pair."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

NEAR_DUPLICATES_PATH = pathlib.Path(__file__).with_name('near_duplicates.csv')


def connect(
  image_ids: Sequence[str],
  *id_columns: Sequence[str],
  pairs: Iterable[tuple[str, str]] = (),
) -> np.ndarray:
  """Names the group of every image: images that share any id, directly or through others.

  Args:
    image_ids: N unique image ids.
    *id_columns: any number of columns of N ids (lesion, patient, ...). Equal values within one
      column connect their rows; the empty string means missing and connects nothing.
    pairs: pairs of image ids that belong together. A pair of which an image is not in
      `image_ids` is ignored, so that one list serves several data sets.

  Returns:
    N group names, `<U`: the smallest id of the first column within the group, or the smallest
    image id where that column is missing throughout.
  """
  parents = list(range(len(image_ids)))

  def root(node: int) -> int:
    while parents[node] != node:
      parents[node] = parents[parents[node]]
      node = parents[node]
    return node

  for column in id_columns:
    first_row: dict[str, int] = {}
    for row, value in enumerate(column):
      if value:
        parents[root(row)] = root(first_row.setdefault(value, row))
  row_of = {image_id: row for row, image_id in enumerate(image_ids)}
  for one, other in pairs:
    if one in row_of and other in row_of:
      parents[root(row_of[one])] = root(row_of[other])

  roots = [root(row) for row in range(len(image_ids))]
  first_column = id_columns[0] if id_columns else [''] * len(image_ids)
  names: dict[int, tuple[bool, str]] = {}
  for row, group in enumerate(roots):
    # False sorts first: a value of the first column wins over an image id.
    candidate = (not first_column[row], first_column[row] or image_ids[row])
    names[group] = min(names.get(group, candidate), candidate)
  return np.array([names[group][1] for group in roots], dtype=np.str_)


def near_duplicate_pairs() -> list[tuple[str, str]]:
  """Returns the pairs of image ids that show one lesion under different ids.

  Found in HAM10000, ISIC 2019 and ISIC 2018 Task 1 by image registration (the second stage of
  `lesionjax.evaluation.audit`) and checked by eye: 169 pairs. A lower bound, since half of ISIC
  2019 was not searched; a few are doubtful or show the same skin (joining those costs nothing).
  """
  with NEAR_DUPLICATES_PATH.open(newline='', encoding='utf-8') as file:
    return [(row['image_1'], row['image_2']) for row in csv.DictReader(file)]
