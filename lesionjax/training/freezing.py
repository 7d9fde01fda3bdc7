"""Which parameters a phase trains: patterns over their paths, and trees cut in two."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from data_builders.errors import UserError

PyTree = Any


def select(
  paths: Iterable[str], trainable: Iterable[str], frozen: Iterable[str], key: str
) -> frozenset[str]:
  """Puts every parameter into one of two groups, what trains and what is frozen.

  Args:
    paths: '/'-joined paths of all parameters.
    trainable: regular expressions that match whole paths.
    frozen: the same for the other group; empty is everything that `trainable` leaves.
    key: of the configuration, for messages, such as 'config.phases[0]'.

  Returns:
    The paths of the parameters that train.

  Raises:
    UserError: naming a pattern that matches nothing or is none, or a parameter of no or two groups.
  """
  paths = list(paths)
  groups = {'trainable': list(trainable), 'frozen': list(frozen)}
  if not groups['trainable']:
    raise UserError(f'{key}.trainable is empty, so nothing would train: give a pattern or a word.')
  found = {
    name: {path for pattern in group for path in _matches(pattern, paths, f'{key}.{name}')}
    for name, group in groups.items()
  }
  for path in paths:
    both = path in found['trainable'] and path in found['frozen']
    neither = path not in found['trainable'] and path not in found['frozen']
    if both or (neither and groups['frozen']):
      raise UserError(
        f'The parameter {path!r} belongs to {"both" if both else "neither"} of {key}.trainable and '
        f'{key}.frozen: write patterns that put it into one, or leave frozen empty, which is all '
        'the rest.'
      )
  return frozenset(found['trainable'])


def _matches(pattern: str, paths: list[str], key: str) -> list[str]:
  try:
    found = [path for path in paths if re.fullmatch(pattern, path)]
  except re.error as error:
    raise UserError(f'{key}: {pattern!r} is not a regular expression ({error}).') from error
  if not found:
    raise UserError(
      f'{key}: the pattern {pattern!r} matches no whole path of a parameter, which are such as '
      f'{paths[0]} and {paths[-1]}; --dry_run without phases lists all.'
    )
  return found


def split(tree: PyTree, inside: frozenset[str] | None, prefix: str = '') -> tuple[PyTree, PyTree]:
  """Cuts a nested dictionary in two.

  Args:
    tree: of parameters.
    inside: '/'-joined paths of the leaves of the first part; None is all.
    prefix: of the paths in `tree`.

  Returns:
    Two nested dictionaries without empty ones; `merge` undoes it.
  """
  if inside is None:
    return tree, {}
  first, second = {}, {}
  for name, value in tree.items():
    path = f'{prefix}{name}'
    if isinstance(value, dict):
      parts = split(value, inside, f'{path}/')
    else:
      parts = (value, {}) if path in inside else ({}, value)
    for part, target in zip(parts, (first, second), strict=True):
      if not (isinstance(part, dict) and not part):
        target[name] = part
  return first, second


def merge(one: PyTree, other: PyTree) -> PyTree:
  """Joins two nested dictionaries without common leaves, names in order."""
  if not other:
    return one
  names = sorted({*one, *other})
  return {
    name: merge(one[name], other[name]) if name in one and name in other
    else one[name] if name in one else other[name]
    for name in names
  }  # fmt: skip
