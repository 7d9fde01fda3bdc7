"""Truth and submission of the challenge, read as strictly as its own program reads them."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Sequence

import numpy as np

from data_builders.errors import UserError
from data_builders.tables import Table, read_table

IMAGE, SCORE_WEIGHT, VALIDATION_WEIGHT = 'image', 'score_weight', 'validation_weight'
NOT_SCORED = 'ISIC_0035068'
"""An image of the test set of 2018 that the organisers took out after the challenge."""

_WHOLE = re.compile(r'[+-]?\d+')
_NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?')
_INFINITE = re.compile(r'[+-]?inf(inity)?', re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Truth:
  """What is known of N images, in the order of their ids.

  Attributes:
    images: N ids.
    categories: K names, in the order of the file.
    positive: bool [N, K]; a row may have none, or several.
    score_weight: float64 [N], at least 0.
    validation_weight: float64 [N], likewise.
    sorted: whether the file had its images in this order.
  """

  images: tuple[str, ...]
  categories: tuple[str, ...]
  positive: np.ndarray
  score_weight: np.ndarray
  validation_weight: np.ndarray
  sorted: bool = True


def read_truth(path: str | os.PathLike[str]) -> Truth:
  """Reads a truth table: `image`, one column a class, and weights where it has them.

  Args:
    path: a CSV file such as ISIC2018_Task3_Test_GroundTruth.csv.

  Raises:
    UserError: it is no such table.
  """
  table = read_table(path, (IMAGE,), IMAGE)
  categories = tuple(
    name for name in table.rows[0] if name not in (IMAGE, SCORE_WEIGHT, VALIDATION_WEIGHT)
  )
  if not categories:
    raise UserError(f'{path} has no column of a class: give a truth table such as image,MEL,NV.')
  images = table.column(IMAGE)
  order = np.array(sorted(range(len(images)), key=images.__getitem__))
  values = np.stack([_numbers(table, name) for name in categories], 1)
  odd = np.argwhere((values != 0) & (values != 1))
  if len(odd):
    row, column = odd[0]
    raise UserError(
      f'{table.where(row)} says {categories[column]} {values[row, column]:g} of {images[row]}: a'
      ' truth is 0.0 or 1.0; is this a submission? The order is SUBMISSION TRUTH.'
    )
  weights = [_weights(table, name, images)[order] for name in (SCORE_WEIGHT, VALIDATION_WEIGHT)]
  if not weights[0].any():
    raise UserError(f'{path} gives every image a {SCORE_WEIGHT} of 0: nothing would be scored.')
  return Truth(
    tuple(images[row] for row in order),
    categories,
    values[order] == 1,
    *weights,
    sorted=bool((np.diff(order) > 0).all()),
  )


def read_submission(path: str | os.PathLike[str], truth: Truth) -> np.ndarray:
  """Reads a submission and brings it into the order of the truth.

  What the challenge's program refuses is refused: it would not be scored there.

  Args:
    path: a CSV file with the columns `image` (an ending .jpg is dropped) and the truth's classes.
    truth: what it is to be scored against.

  Returns:
    float64 [N, K], probabilities 0..1; rows need not sum to 1.

  Raises:
    UserError: columns, images or values are not those of a submission.
  """
  table = read_table(path, (IMAGE,), IMAGE)
  given = [name for name in table.rows[0] if name != IMAGE]
  _same(f'{path}: columns', given, truth.categories, 'one column a class, no other')
  images = [re.sub(r'\.jpg$', '', name, flags=re.IGNORECASE) for name in table.column(IMAGE)]
  place = {name: row for row, name in enumerate(images)}
  if len(place) < len(images):
    row = next(row for row, name in enumerate(images) if place[name] != row)
    raise UserError(f'{table.where(row)}: {images[row]} occurs twice; give every image once.')
  _same(f'{path}: images', images, truth.images, 'one row for every image of the truth')
  columns = []
  for name in truth.categories:
    if all(_WHOLE.fullmatch(row[name]) for row in table.rows):
      raise UserError(
        f"{path} has whole numbers only in column {name}, which the challenge's program refuses:"
        ' write them as 0.0 and 1.0.'
      )
    columns.append(_numbers(table, name))
  values = np.stack(columns, 1)
  odd = np.argwhere((values < 0) | (values > 1))
  if len(odd):
    row, column = odd[0]
    raise UserError(
      f'{table.where(row)}: {truth.categories[column]} of {images[row]} is {values[row, column]:g};'
      ' values lie within 0.0 and 1.0.'
    )
  return values[[place[name] for name in truth.images]]


def _same(what: str, given: Sequence[str], wanted: Sequence[str], rule: str) -> None:
  """Refuses names that are missing or too many."""
  told = []
  for word, names in (
    ('missing', sorted(set(wanted) - set(given))),
    ('unknown', sorted(set(given) - set(wanted))),
  ):
    if names:
      more = ', ...' if len(names) > 3 else ''
      told.append(f'{len(names)} {word} ({", ".join(names[:3])}{more})')
  if told:
    raise UserError(f'{what} {" and ".join(told)}: give {rule}.')


def _weights(table: Table, name: str, images: Sequence[str]) -> np.ndarray:
  """One column of weights; 1 where the table has none."""
  found = _numbers(table, name) if name in table.rows[0] else np.ones(len(images))
  odd = np.flatnonzero(~((found >= 0) & np.isfinite(found)))
  if len(odd):
    raise UserError(f'{table.where(odd[0])}: {name} is {found[odd[0]]:g}; weights are 0 or more.')
  return np.where([image == NOT_SCORED for image in images], 0.0, found)


def _numbers(table: Table, name: str) -> np.ndarray:
  """One column as float64 [N]; `inf` is read, to be refused as out of range."""
  found = []
  for row, text in enumerate(table.column(name)):
    if not text or text.lower() in ('nan', 'na', 'null', 'none'):
      raise UserError(f'{table.where(row)} has no value for {name}: give a number for every class.')
    if _NUMBER.fullmatch(text):
      found.append(float(text))
    elif _INFINITE.fullmatch(text):
      found.append(-math.inf if text.startswith('-') else math.inf)
    else:
      raise UserError(f'{table.where(row)}: {name} is {text!r}; give a number within 0.0 and 1.0.')
  return np.array(found)
