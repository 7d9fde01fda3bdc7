"""The one exception for mistakes a user can mend."""


class UserError(ValueError):
  """A mistake in input, configuration or files, told in one sentence.

  The message says what is wrong, in which file or key and with which value, what is allowed, and
  what to do. Commands print it without a traceback and exit with a non-zero status.
  """
