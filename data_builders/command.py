"""Starts a command; mistakes a user can mend end it with one sentence instead of a traceback."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Callable

from absl import app, flags, logging

from data_builders.errors import UserError

_DISK = {
  errno.ENOSPC: 'the disk is full: free some space',
  errno.EDQUOT: 'the disk quota is used up: free some space',
  errno.EROFS: 'the file system is read-only: choose another directory',
  errno.EACCES: 'permission is denied: choose another directory or ask for access',
  errno.EPERM: 'permission is denied: choose another directory or ask for access',
}


def run(main: Callable[[list[str]], object]) -> None:
  """Parses absl flags and runs `main(argv)`; does not return.

  Exit status: 0, 130 after Ctrl-C, or 1 after a mistake in flags, input, configuration or disk,
  told in one sentence on stderr. Anything else is a defect of ours and keeps its traceback.

  Args:
    main: gets the command line without the flags.
  """

  def quietly(argv: list[str]) -> object:
    # Libraries report every file they touch, and an error once a thread before they raise it; what
    # matters to the user comes as an exception.
    if not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.FATAL)
    return main(argv)

  try:
    app.run(quietly, flags_parser=_parse)
  except UserError as error:
    sys.exit(f'Error: {error}')
  except KeyboardInterrupt:
    sys.stderr.write('Interrupted; the same command carries on from what is saved.\n')
    sys.exit(130)
  except OSError as error:
    if str(error).startswith('Configuration is not available'):  # ml_collections
      given = next((a for a in sys.argv if a.lstrip('-').startswith('config=')), '--config')
      sys.exit(f'Error: {given} cannot be read: give a file such as configs/quickstart.py.')
    if error.errno not in _DISK:
      raise
    where = f'{error.filename}: ' if error.filename else ''
    sys.exit(f'Error: {where}{_DISK[error.errno]}, then run the same command again.')


def _parse(argv: list[str]) -> list[str]:
  try:
    return flags.FLAGS(argv)
  except flags.Error as error:
    own = _own_mistake(error)
    raise own or UserError(f'{str(error).splitlines()[0]} (--help lists the flags).') from error
  except AttributeError as error:  # ml_collections, for a key that the configuration lacks
    words = re.findall(r'\w+', str(error).replace('\\n', ' '))
    key = words[0] if words else ''
    given = next((a for a in argv if re.search(rf'\.{key}(\.|=|$)', a)), '--config')
    near = f'did you mean {words[4]!r}?' if 'Did' in words else 'configs/base.py lists every key.'
    raise UserError(f'The configuration has no key {key!r} ({given}): {near}') from error


def _own_mistake(error: BaseException) -> UserError | None:
  """The UserError that a recipe raised, which ml_collections tells as text of a flag error."""
  found = re.search(r'UserError: (.*)', str(error))
  return UserError(found[1]) if found else None
