"""What counts as positive, and the score of it: one class, or all that are malignant."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_builders import labels as class_labels
from data_builders.errors import UserError

MALIGNANT = 'malignant'


@dataclasses.dataclass(frozen=True)
class Positive:
  """The positive classes of a task.

  Attributes:
    name: 'malignant', or the class.
    classes: those that are positive, in the order of the probabilities.
    indices: their columns.
    unknown: classes that may or may not be malignant ('other'); they count as negative.
    problem: one sentence where no class or every class is positive, so that nothing is told
      apart; '' otherwise.
  """

  name: str
  classes: tuple[str, ...]
  indices: tuple[int, ...]
  unknown: tuple[str, ...] = ()
  problem: str = ''

  def truth(self, labels: np.ndarray) -> np.ndarray:
    """Bool [N]: which images are positive, from int labels [N]."""
    return np.isin(labels, self.indices)

  def score(self, probabilities: np.ndarray) -> np.ndarray:
    """Float64 [N]: the sum of the positive classes' probabilities [N, K], at most 1."""
    columns = np.asarray(probabilities)[:, list(self.indices)]
    return np.minimum(columns.sum(axis=1, dtype=np.float64), 1.0)


def positive_of(name: str, class_names: Sequence[str]) -> Positive:
  """Finds the classes that a name stands for.

  Args:
    name: 'malignant' (every class that lies in it, see `data_builders.labels`) or a class.
    class_names: K names, in the order of the probabilities.

  Returns:
    The positive classes; `problem` says where they are none or all.

  Raises:
    UserError: the name is neither.
  """
  if name in class_names:
    return Positive(name, (name,), (tuple(class_names).index(name),))
  if name != MALIGNANT:
    raise UserError(
      f'config.evaluate.positive={name!r} is neither {MALIGNANT!r} nor one of the classes'
      f' {", ".join(class_names)}: name one of them.'
    )
  kinds = [class_labels.counterpart(each, ('benign', MALIGNANT)) for each in class_names]
  indices = tuple(index for index, kind in enumerate(kinds) if kind == MALIGNANT)
  unknown = tuple(each for each, kind in zip(class_names, kinds, strict=True) if kind is None)
  problem = ''
  if not indices or len(indices) == len(class_names):
    share = 'Each' if indices else 'None'
    problem = (
      f'{share} of the classes {", ".join(class_names)} is malignant, so that there is nothing to'
      ' tell apart: name one class with config.evaluate.positive.'
    )
  return Positive(name, tuple(class_names[index] for index in indices), indices, unknown, problem)
