"""Classes that a run shall not know: left out of its training, unknown where it is tested."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_builders.errors import UserError
from data_builders.labels import SCHEMES, counterpart
from lesionjax.data.records import Split


def validate(data: Any, task: str) -> None:
  """Refuses names that are none, and leaving out where nothing could be learned or tested then.

  Whether they are classes of the data is told when these are opened, or here where
  `config.data.classes` names them.

  Args:
    data: `config.data`.
    task: `config.task`.

  Raises:
    UserError: naming the key, its value and what is allowed.
  """
  left_out = data.leave_out_classes
  told = f'config.data.leave_out_classes={left_out!r}'
  if not isinstance(left_out, tuple | list) or not all(
    isinstance(name, str) and name for name in left_out
  ):
    raise UserError(
      f"{told} must be a tuple of class names, such as ('vasc',): name classes of the data, or"
      ' leave it empty.'
    )
  if not left_out:
    return
  if len(set(left_out)) < len(left_out):
    raise UserError(f'{told} names a class twice: name each once.')
  if task != 'classify':
    raise UserError(f'{told} is for classifiers: with config.task={task!r} leave it empty.')
  if data.test_split in (data.train_split, data.validation_split):
    raise UserError(
      f'{told} needs a test split to find the unknown in, and config.data.test_split='
      f'{data.test_split!r} is learned from: give another, or leave out no class.'
    )
  if data.classes in SCHEMES:
    check_names(SCHEMES[data.classes], left_out)


def check_names(class_names: Sequence[str], left_out: Sequence[str]) -> None:
  """Refuses to leave out what is no class, or all but one.

  Args:
    class_names: of the data.
    left_out: `config.data.leave_out_classes`.

  Raises:
    UserError: naming the classes there are.
  """
  told = f'config.data.leave_out_classes={tuple(left_out)!r}'
  for name in left_out:
    if name not in class_names:
      raise UserError(
        f'{told}: {name!r} is no class of the data, whose classes are {", ".join(class_names)};'
        ' name some of these.'
      )
  if len(set(class_names) - set(left_out)) < 2:
    raise UserError(
      f'{told} leaves fewer than two of the classes {", ".join(class_names)}: leave out fewer.'
    )


def mark(split: Split, left_out: Sequence[str], other: bool = False) -> Split:
  """Takes classes out of a split's names; their images keep their place with the label -1.

  Args:
    split: with all of its classes.
    left_out: `config.data.leave_out_classes`.
    other: whether the split is of another data set, where a class that lies in one that is left out
      (AK in AKIEC) goes too and any of them may be absent.

  Raises:
    UserError: as `check_names`, for the run's own data.
  """
  if other:
    target = [name.lower() for name in left_out]
    gone = [counterpart(name, target) in target for name in split.class_names]
  else:
    check_names(split.class_names, left_out)
    gone = [name in left_out for name in split.class_names]
  kept = np.flatnonzero(~np.array(gone))
  places = np.full(len(gone) + 1, -1, np.int32)  # the last is for what had no class before
  places[kept] = np.arange(len(kept))
  names = tuple(split.class_names[index] for index in kept)
  return dataclasses.replace(split, class_names=names, labels=places[split.labels])


def describe(
  data: Mapping[str, Any], splits: Mapping[str, Split], left_out: Sequence[str]
) -> dict[str, Any]:
  """What a run remembers of its data, with the counts of the classes that it knows.

  Args:
    data: of all classes, see `lesionjax.data.datasets.provenance`. Its fingerprint stays: the data
      are the same.
    splits: those of `data`, with classes taken out by `mark`.
    left_out: `config.data.leave_out_classes`.

  Returns:
    `data` with counts of known classes, `left_out_classes`, and in every split `left_out`, the
    number of images that are not counted.
  """
  counts = {}
  names: tuple[str, ...] = ()
  for name, split in splits.items():
    names, known = split.class_names, split.labels >= 0
    support = np.bincount(split.labels[known], minlength=len(names)).tolist()
    counts[name] = {
      'images': int(known.sum()),
      'groups': len(np.unique(split.group_ids[known])),
      'support': dict(zip(names, support, strict=True)),
      'left_out': int((~known).sum()),
    }
  changed = {'class_names': list(names), 'splits': counts, 'left_out_classes': list(left_out)}
  return {**data, **changed}
