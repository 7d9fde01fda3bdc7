"""Predictions and labels of this project as the tables that the challenge reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from data_builders.errors import UserError
from data_builders.labels import counterpart

CATEGORIES = {
  '2018': ('MEL', 'NV', 'BCC', 'AKIEC', 'BKL', 'DF', 'VASC'),
  '2019': ('MEL', 'NV', 'BCC', 'AK', 'BKL', 'DF', 'VASC', 'SCC', 'UNK'),
}
"""Columns by the challenge's year, in its order."""

UNKNOWN = 'UNK'


def challenge_of(class_names: Sequence[str]) -> str:
  """Returns the year whose classes these are, whatever their order and case.

  Raises:
    UserError: they are those of no challenge.
  """
  given = {name.upper() for name in class_names}
  for year, categories in CATEGORIES.items():
    if given in (set(categories), set(categories) - {UNKNOWN}):
      return year
  raise UserError(
    f'The classes {", ".join(class_names)} are those of no challenge: say with --challenge=2018 or'
    ' --challenge=2019 whose columns they shall fill.'
  )


def places(class_names: Sequence[str], challenge: str) -> np.ndarray:
  """Which column of a challenge every class goes to: the same, or one that contains it.

  Args:
    class_names: K names.
    challenge: a key of `CATEGORIES`.

  Returns:
    int [K]; several classes may share a column, as AK and SCC do in AKIEC of 2018.

  Raises:
    UserError: a class has no column, or a column other than UNK no class.
  """
  categories = CATEGORIES[challenge]
  lower = [name.lower() for name in categories]
  found = [counterpart(name, lower) for name in class_names]
  lost = [name for name, one in zip(class_names, found, strict=True) if one is None]
  empty = [name for name in categories if name != UNKNOWN and name.lower() not in found]
  if lost or empty:
    told = f'class {lost[0]} has no column there' if lost else f'no class fills {", ".join(empty)}'
    raise UserError(
      f'Predictions of {", ".join(class_names)} are no submission to the challenge of {challenge}'
      f' ({", ".join(categories)}): {told}; train on the classes of that challenge.'
    )
  return np.array([lower.index(name) for name in found if name is not None])


def submission(
  images: Sequence[str], probabilities: np.ndarray, class_names: Sequence[str], challenge: str
) -> str:
  """Returns a submission as CSV text, every number with all its digits.

  Args:
    images: N ids.
    probabilities: float [N, K], 0..1; of classes that share a column the sum is written, and 0 in
      UNK where no class is `unk`.
    class_names: K names.
    challenge: a key of `CATEGORIES`.

  Raises:
    UserError: a class has no column, a value is none, or an image occurs twice.
  """
  values = np.zeros((len(images), len(CATEGORIES[challenge])), probabilities.dtype)
  for k, place in enumerate(places(class_names, challenge)):
    values[:, place] += probabilities[:, k]
  odd = np.flatnonzero(~np.isfinite(values).all(1) | (values < 0).any(1))
  if len(odd):
    raise UserError(
      f'{len(odd)} of {len(images)} images have no probabilities within 0 and 1, such as'
      f' {images[odd[0]]}: predict them again.'
    )
  return _text(images, np.minimum(values, 1), challenge)


def truth(
  images: Sequence[str], labels: np.ndarray, class_names: Sequence[str], challenge: str
) -> str:
  """Returns a truth table as CSV text; labels int [N] index the names, else as in `submission`."""
  columns = places(class_names, challenge)[labels]
  values = np.zeros((len(images), len(CATEGORIES[challenge])))
  values[np.arange(len(images)), columns] = 1
  return _text(images, values, challenge)


def _text(images: Sequence[str], values: np.ndarray, challenge: str) -> str:
  seen: set[str] = set()
  for image in images:
    if image in seen:
      raise UserError(f'The image {image} occurs twice: a table of the challenge holds each once.')
    seen.add(image)
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(['image', *CATEGORIES[challenge]])
  for image, row in zip(images, values, strict=True):
    writer.writerow([image, *map(str, row)])  # '0.0', never '0': whole numbers are refused there
  return text.getvalue()
