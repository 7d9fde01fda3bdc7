"""Sentences about names and arguments that a table of networks does not have."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from data_builders.errors import UserError


def check_name(kind: str, name: str, known: Iterable[str]) -> None:
  """Refuses a name that a table does not have.

  Args:
    kind: what the table holds, in the singular: 'model'.
    name: the name asked for.
    known: the names of the table.

  Raises:
    UserError: unknown name; the nearest ones are suggested.
  """
  known = tuple(known)
  if name not in known:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f'did you mean {" or ".join(near)}? Known' if near else 'known'
    raise UserError(f'unknown {kind} {name!r}: {hint} {kind}s are {", ".join(known)}')


def check_arguments(kind: str, name: str, arguments: Iterable[str], options: Iterable[str]) -> None:
  """Refuses arguments that an entry of a table does not take.

  Args:
    kind: what the table holds, in the singular: 'model'.
    name: the entry.
    arguments: names of the arguments given.
    options: names of those allowed.

  Raises:
    UserError: the first that is not allowed, and those that are.
  """
  options = tuple(options)
  for key in arguments:
    if key not in options:
      allowed = ', '.join(options) or 'none'
      raise UserError(f'{kind} {name!r} has no argument {key!r}: allowed arguments are {allowed}')
