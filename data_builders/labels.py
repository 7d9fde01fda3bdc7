"""Class names of different data sets, mapped onto each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_builders.errors import UserError

COARSER_NAMES = {'ak': 'akiec', 'scc': 'akiec'}
"""Finer class -> the class that contains it (HAM10000's AKIEC is ISIC 2019's AK and SCC)."""


def map_labels(source_names: Sequence[str], target_names: Sequence[str]) -> np.ndarray:
  """Maps the classes of one data set onto those of another.

  Names match without regard to case; a finer class goes to the coarser one that contains it
  (`ak` and `scc` to `akiec`), never the other way round.

  Args:
    source_names: class names of the data to be mapped; label k is `source_names[k]`.
    target_names: class names to map onto.

  Returns:
    int32 [len(source_names)]: the target label of every source label, so that
    `map_labels(source, target)[source_label]` is the target label.

  Raises:
    UserError: a source class has no counterpart; the message names it.
  """
  index = {name.lower(): position for position, name in enumerate(target_names)}
  mapped = []
  for name in source_names:
    position = index.get(name.lower(), index.get(COARSER_NAMES.get(name.lower(), '')))
    if position is None:
      raise UserError(
        f"Class '{name}' of the data ({', '.join(source_names)}) has no counterpart among the"
        f' classes {", ".join(target_names)}; use data whose classes map onto these.'
      )
    mapped.append(position)
  return np.array(mapped, dtype=np.int32)
