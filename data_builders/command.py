"""Starts a command; mistakes a user can mend end it with one sentence instead of a traceback."""

from __future__ import annotations

import errno
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

  Exit status: 0, or 1 after a mistake in flags, input, configuration or disk, told in one sentence
  on stderr. Anything else is a defect of ours and keeps its traceback.

  Args:
    main: gets the command line without the flags.
  """

  def quietly(argv: list[str]) -> object:
    # Libraries report every file they touch; what matters to the user comes as an exception.
    if not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.ERROR)
    return main(argv)

  try:
    app.run(quietly, flags_parser=_parse)
  except UserError as error:
    sys.exit(f'Error: {error}')
  except OSError as error:
    if error.errno not in _DISK:
      raise
    where = f'{error.filename}: ' if error.filename else ''
    sys.exit(f'Error: {where}{_DISK[error.errno]}, then run the same command again.')


def _parse(argv: list[str]) -> list[str]:
  try:
    return app.parse_flags_with_usage(argv)
  except AttributeError as error:  # ml_collections, for a key that the configuration lacks
    text = str(error).strip('"').encode().decode('unicode_escape')
    key, _, hint = text.partition('\n')
    raise UserError(f'The configuration has no key {key}. {hint}'.strip()) from error
  except OSError as error:  # ml_collections, for a configuration file that is not there
    arguments = [a for a in argv if a.startswith(('--config=', '-config='))]
    raise UserError(
      f'{" ".join(arguments) or "The configuration file"} cannot be read: give the path of a file '
      'such as configs/quickstart.py.'
    ) from error
