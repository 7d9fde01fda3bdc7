"""predictions.csv: one row an image, written as it comes, whole at the end."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.evaluation.calibration.conformal import Conformal
from lesionjax.predicting.fitted import Fitted

_FORMULA = ('=', '+', '-', '@', '\t', '\r')


@dataclasses.dataclass(frozen=True)
class Row:
  """What is said of one image; of an image with an error nothing but that.

  Attributes:
    index: place among the images, from 0.
    name: path within the folder, as `printable` shows it.
    probabilities: float [K] with the temperature; None with an error.
    label: the most probable class.
    malignant: the positive classes' probabilities added up, as the network gives them; None where
      no class, or every class, is positive.
    flag: whether `malignant` reaches the threshold; None without a threshold.
    classes: the conformal set; None without.
    why: why the image is referred; '' where it is not. None where nothing could say so.
    note: how the file was read, where that is not plain.
    error: why there is no prediction; ''.
  """

  index: int
  name: str
  probabilities: np.ndarray | None = None
  label: str = ''
  malignant: float | None = None
  flag: bool | None = None
  classes: tuple[str, ...] | None = None
  why: str | None = None
  note: str = ''
  error: str = ''

  @property
  def confidence(self) -> float | None:
    """Probability of the label, with the temperature."""
    return None if self.probabilities is None else float(self.probabilities.max())


def judge(
  index: int, name: str, note: str, raw: np.ndarray, calibrated: np.ndarray, fitted: Fitted,
  class_names: tuple[str, ...], doubt: str = '',
) -> Row:  # fmt: skip
  """Says of one image what follows from its probabilities.

  Args:
    index: see `Row`.
    name: see `Row`.
    note: see `Row`.
    raw: float [K], as the network gives them.
    calibrated: float [K], with the temperature.
    fitted: threshold and sets.
    class_names: K names.
    doubt: why the network cannot have seen what it was trained to judge; '' where it can.

  Returns:
    The row. The image is referred when there is doubt, when it is flagged, and when its set does
    not hold exactly one of the classes with enough calibration cases, or its label is none of them.
  """
  if not np.isfinite(calibrated).all():
    return Row(index, name, note=note, error='the network gives no finite numbers for it')
  malignant = None if fitted.positive.problem else float(fitted.positive.score(raw[None])[0])
  flag = classes = why = None
  reasons = [doubt] if doubt else []
  if malignant is not None and fitted.threshold is not None:
    flag = malignant >= fitted.threshold
    if flag:
      reasons.append(f'{fitted.positive.name} score reaches {fitted.threshold:.4f}')
  if fitted.conformal is not None:
    inside = fitted.conformal.sets(calibrated[None])[0]
    classes = tuple(each for each, one in zip(class_names, inside, strict=True) if one)
    reasons += _unsure(fitted.conformal, inside, int(calibrated.argmax()))
  if flag is not None or classes is not None or doubt:
    why = '; '.join(reasons)
  label = class_names[int(calibrated.argmax())]
  return Row(index, name, calibrated, label, malignant, flag, classes, why, note)


def _unsure(sets: Conformal, inside: np.ndarray, label: int) -> list[str]:
  """Why a set bool [K] does not settle the class, in a list of at most one.

  Classes with too few calibration cases are in every set, so they do not count.
  """
  if sets.always.all():
    return []
  counted = [name for name, one in zip(sets.class_names, inside & ~sets.always, strict=True) if one]
  if sets.always[label]:
    return [f'too few validation images of {sets.class_names[label]} to be sure']
  if len(counted) > 1:
    always = ', beside what is in every set' if sets.always.any() else ''
    return [f'set holds {" and ".join(counted)}{always}']
  return [] if counted else ['set is empty: unlike the images it was fitted on']


def printable(name: str) -> str:
  r"""A file name that every reader can show: what is no UTF-8, or moves the cursor, becomes \xNN.

  A name that a spreadsheet would take for a formula (it begins with = + - @) gets './' in front,
  which is the same file.
  """
  decoded = os.fsencode(name).decode('utf-8', 'backslashreplace')
  shown = ''.join(
    each if each.isprintable() else each.encode('unicode_escape').decode() for each in decoded
  )
  return f'./{shown}' if shown.startswith(_FORMULA) else shown


def columns(class_names: tuple[str, ...], positive: str) -> list[str]:
  """The header of predictions.csv; the score is named after what is positive."""
  return [
    'image', *(f'p_{name}' for name in class_names), 'label', 'confidence', f'{positive}_score',
    'flag', 'set', 'refer', 'why', 'note', 'error',
  ]  # fmt: skip


class Writer:
  """Rows of predictions.csv.

  Cells that begin as a formula does get an apostrophe in front (file names './', see `printable`):
  the advice of OWASP, "CSV injection".
  """

  def __init__(self, file: Any, class_names: tuple[str, ...], positive: str):
    self._writer = csv.writer(file, lineterminator='\n')
    self._classes = len(class_names)
    self._writer.writerow([_cell(name) for name in columns(class_names, positive)])

  def write(self, row: Row) -> None:
    """Adds a row."""
    shares = [''] * self._classes if row.probabilities is None else map(_number, row.probabilities)
    refer = None if row.why is None else bool(row.why)
    cells = [
      row.name, *shares, row.label, _number(row.confidence), _number(row.malignant),
      _yes(row.flag), ' '.join(row.classes or ()), _yes(refer), row.why or '', row.note, row.error,
    ]  # fmt: skip
    self._writer.writerow([_cell(cell) for cell in cells])


def _number(value: float | None) -> str:
  return '' if value is None else f'{value:.6f}'


def _yes(value: bool | None) -> str:
  return '' if value is None else ('yes' if value else 'no')


def _cell(text: str) -> str:
  return f"'{text}" if text.startswith(_FORMULA) else text


@contextmanager
def growing_file(path: str) -> Iterator[Any]:
  """Opens a text file under a temporary name and renames it when all is written.

  Raises:
    UserError: the disk is full, read-only or not ours.
  """
  temporary = os.path.join(os.path.dirname(path), f'.{os.path.basename(path)}.{os.getpid()}.tmp')
  try:
    with open(temporary, 'w', encoding='utf-8', newline='') as file:
      yield file
    os.replace(temporary, path)
  except OSError as error:
    raise UserError(
      f'{path} cannot be written ({error.strerror or error}): free the disk, or choose a place that'
      ' can be written.'
    ) from error
  finally:
    if os.path.exists(temporary):
      os.unlink(temporary)
