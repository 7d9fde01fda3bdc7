"""Out-of-fold masks: segmenters that each leave a part of the training folds out."""

from __future__ import annotations

from collections.abc import Sequence

from ml_collections import ConfigDict

from data_builders.errors import UserError


def fold_config(config: ConfigDict, folds: Sequence[int]) -> ConfigDict:
  """Returns the configuration of a segmenter that leaves more folds of the training split out."""
  changed = config.copy_and_resolve_references()
  changed.data.leave_out_folds = tuple(sorted({*config.data.leave_out_folds, *folds}))
  return changed


def parts_of(folds: Sequence[int], count: int) -> list[tuple[int, ...]]:
  """Divides the folds of a training split into parts, round robin.

  Raises:
    UserError: there are fewer folds than parts.
  """
  known = sorted(set(folds))
  if not 2 <= count <= len(known):
    raise UserError(
      f'--cross_fit={count} must be from 2 to {len(known)}, the number of folds of the training'
      ' split.'
    )
  return [tuple(known[at::count]) for at in range(count)]
