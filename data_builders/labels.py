"""Class names of different data sets, mapped onto each other."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from data_builders.errors import UserError

SCHEMES = {
  'isic9': ('ak', 'bcc', 'bkl', 'df', 'mel', 'nv', 'scc', 'vasc', 'unk'),
  'isic8': ('ak', 'bcc', 'bkl', 'df', 'mel', 'nv', 'scc', 'vasc'),
  'ham7': ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc'),
  'binary': ('benign', 'malignant'),
  'melanoma': ('other', 'mel'),
}
"""Name -> classes, from fine to coarse. `unk` (ISIC 2019's test set) is none of the eight."""

COARSER_NAMES = {
  # HAM10000's AKIEC is ISIC 2019's AK and SCC.
  'ak': 'akiec',
  'scc': 'akiec',
  # Diagnoses of ISIC 2020 in ISIC 2019's terms.
  'melanoma': 'mel',
  'nevus': 'nv',
  'seborrheic keratosis': 'bkl',
  'lichenoid keratosis': 'bkl',
  'solar lentigo': 'bkl',
  'lentigo nos': 'bkl',
  # Actinic keratosis is a precursor of carcinoma and is treated as one, as in published
  # benign / malignant tasks on HAM10000.
  'akiec': 'malignant',
  'bcc': 'malignant',
  'mel': 'malignant',
  'bkl': 'benign',
  'df': 'benign',
  'nv': 'benign',
  'vasc': 'benign',
}
"""Class -> the coarser class that contains it."""


def counterpart(name: str, target_names: Collection[str]) -> str | None:
  """Returns the target class that a class is or lies in, None where there is none.

  Args:
    name: a class, whatever its case.
    target_names: lower-case class names; those that a name is reached through
      (`ak` -> `akiec` -> `malignant`), the finest first.
  """
  step: str | None = name.lower()
  while step is not None and step not in target_names:
    step = COARSER_NAMES.get(step)
  if step is None and 'other' in target_names and _is_known_not_to_be(name.lower(), target_names):
    return 'other'
  return step


def _is_known_not_to_be(name: str, target_names: Collection[str]) -> bool:
  """Whether a class excludes the named targets: `nv` is no melanoma, `malignant` may be one."""
  inner = {target for target in target_names if target != 'other'}
  reached = {name}
  grown = True
  while grown:  # everything that lies in `name`
    more = {fine for fine, coarse in COARSER_NAMES.items() if coarse in reached} | reached
    grown, reached = len(more) > len(reached), more
  known = name in COARSER_NAMES or name in COARSER_NAMES.values()
  return known and not reached & inner


def map_labels(
  source_names: Sequence[str], target_names: Sequence[str], missing: int | None = None
) -> np.ndarray:
  """Maps the classes of one data set onto those of another.

  Names match without regard to case; a finer class goes to the coarser one that contains it
  (`ak` and `scc` to `akiec`), never the other way round.

  Args:
    source_names: class names of the data to be mapped; label k is `source_names[k]`.
    target_names: class names to map onto.
    missing: target label of source classes without a counterpart; None refuses them.

  Returns:
    int32 [len(source_names)]: the target label of every source label, so that
    `map_labels(source, target)[source_label]` is the target label.

  Raises:
    UserError: a source class has no counterpart and `missing` is None; the message names it.
  """
  index = {name.lower(): position for position, name in enumerate(target_names)}
  mapped = []
  for name in source_names:
    found = counterpart(name, index)
    if found is None and missing is None:
      raise UserError(
        f"Class '{name}' of the data ({', '.join(source_names)}) has no counterpart among the"
        f' classes {", ".join(target_names)}; use data whose classes map onto these.'
      )
    mapped.append(missing if found is None else index[found])
  return np.array(mapped, dtype=np.int32)


def common_scheme(all_names: Sequence[Sequence[str]]) -> tuple[str, ...]:
  """Returns the finest classes onto which the classes of several data sets can be mapped.

  Args:
    all_names: class names of every data set; `unk` is left out, as no classifier is trained on it.

  Returns:
    The class names of one data set alone, if they are the same in all; else a scheme's.

  Raises:
    UserError: no scheme fits all.
  """
  known = [tuple(name.lower() for name in names if name.lower() != 'unk') for names in all_names]
  if len(set(known)) == 1:
    return known[0]
  for name, classes in SCHEMES.items():
    # One class against all others is asked for by name only.
    if name not in ('isic9', 'melanoma') and all(
      counterpart(name, classes) for some in known for name in some
    ):
      return classes
  raise UserError(
    'The data sets have no classes in common: '
    + '; '.join(', '.join(names) for names in all_names)
    + f' (known are the classes {", ".join(SCHEMES)}); train on them one by one.'
  )
