"""The features that all data sets of the family share, and how table cells become them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_builders import tables
from data_builders.errors import UserError

NOT_INPUTS = ('source', 'confirmation')
"""Features that reveal how an image was collected or labelled: never inputs of a model."""

_TEXTS = {
  'image_id': 'Id in the ISIC archive.',
  'group_id': 'What must not be divided between splits: lesion or patient, over all data sets.',
  'lesion_id': "'' where not published.",
  'patient_id': "'' where not published.",
  'sex': "'male', 'female' or '' where missing.",
  'site': "Place on the body, as published; '' where missing.",
  'source': "Collection that the image comes from, '' where not published.",
  'confirmation': "How the diagnosis was made, '' where not published.",
}
_MISSING = ('', 'unknown', 'n/a', 'na', 'nan')


def features(
  class_names: Sequence[str] = (), mask: bool = False, extra: Mapping[str, Any] | None = None
) -> tfds.features.FeaturesDict:
  """Returns the features of a data set of dermoscopic images.

  Args:
    class_names: in label order; none leaves `label` out.
    mask: whether there are lesion masks.
    extra: further features.
  """
  jpeg = tfds.features.Image(shape=(None, None, 3), encoding_format='jpeg', doc='sRGB photograph.')
  result: dict[str, Any] = {'image': jpeg}
  if mask:
    result['mask'] = tfds.features.Image(
      shape=(None, None, 1), encoding_format='png', doc='Lesion: 255 inside, 0 outside.'
    )
  if class_names:
    result['label'] = tfds.features.ClassLabel(names=list(class_names))
  for name, doc in _TEXTS.items():
    never = ' Reveals the label process: never an input of a model.' if name in NOT_INPUTS else ''
    result[name] = tfds.features.Text(doc=doc + never)
  result['fold'] = tfds.features.Scalar(
    np.int32, doc='0-6 in train, 7-9 in validation and test, -1 in official test sets.'
  )
  result['age'] = tfds.features.Scalar(np.float32, doc='Years, nan where missing.')
  return tfds.features.FeaturesDict(result | dict(extra or {}))


def record(image_id: str, **known: Any) -> dict[str, Any]:
  """Returns a record without pixels: '' and nan for the features that are not given."""
  empty: dict[str, Any] = dict.fromkeys(_TEXTS, '')
  return empty | {'image_id': image_id, 'fold': np.int32(-1), 'age': np.float32(np.nan)} | known


def text(table: tables.Table, row: int, column: str) -> str:
  """Returns a cell, '' where it is missing or says that it is unknown."""
  value = table.rows[row].get(column, '')
  return '' if value.lower() in _MISSING else value


def age(table: tables.Table, row: int, column: str) -> np.float32:
  """Returns the age in years, nan where it is missing.

  Raises:
    UserError: it is no number from 0 to 150; names file and line.
  """
  cell = text(table, row, column)
  if not cell:
    return np.float32(np.nan)
  years = _number(cell)
  if years is None or years > 150:
    raise UserError(
      f"{table.where(row)} has '{cell}' in column {column}; it must be years or empty."
    )
  return np.float32(years)


def sex(table: tables.Table, row: int, column: str = 'sex') -> str:
  """Returns 'male', 'female' or '' where it is missing.

  Raises:
    UserError: another value; names file and line.
  """
  value = text(table, row, column).lower()
  if value not in ('', 'male', 'female'):
    raise UserError(
      f"{table.where(row)} has '{value}' in column {column}; allowed are male, female or empty."
    )
  return value


def one_hot(table: tables.Table, row: int, columns: Sequence[str]) -> str:
  """Returns the lower-case name of the one column that is set.

  Raises:
    UserError: none or several are set, or a cell is neither 0 nor 1; names file and line.
  """
  chosen = []
  for column in columns:
    cell = table.rows[row].get(column, '0')
    value = _number(cell)
    if value not in (0.0, 1.0):
      raise UserError(f"{table.where(row)} has '{cell}' in column {column}; allowed are 0 and 1.")
    if value:
      chosen.append(column)
  if len(chosen) != 1:
    found = f'sets {" and ".join(chosen)}' if chosen else 'sets no class'
    raise UserError(
      f'{table.where(row)} {found}; exactly one of {", ".join(columns)} must be 1, restore the'
      ' official table.'
    )
  return chosen[0].lower()


def _number(cell: str) -> float | None:
  """The value of '45' or '45.0'; of what else Python calls a number (1e2, 4_5) there is none."""
  return float(cell) if re.fullmatch(r'[0-9]+(\.[0-9]+)?', cell) else None


def one_of(table: tables.Table, row: int, column: str, allowed: Sequence[str]) -> str:
  """Returns a cell's lower-case value.

  Raises:
    UserError: it is not one of the allowed; names file and line.
  """
  value = table.rows[row][column].lower()
  if value not in allowed:
    raise UserError(
      f"{table.where(row)} has the unknown class '{value}' in column {column}; allowed are"
      f' {", ".join(allowed)}.'
    )
  return value
