"""Scores a submission as the ISIC challenge of 2018 (Task 3) and 2019 does.

  python -m lesionjax.evaluation.score SUBMISSION.csv TRUTH.csv [--metric=NAME] [--json]

What the numbers are says `lesionjax.evaluation.official`. --json writes what the organisers'
program writes ({overall, validation, per_category, macro_average, aggregate}) with `notes`; null is
undefined. Exit status: 0, or 2 where a table cannot be scored, with one sentence on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from data_builders.errors import UserError
from lesionjax.evaluation import official

SCORED, REFUSED = 0, 2


def main(arguments: Sequence[str]) -> int:
  """Prints the score of a submission.

  Args:
    arguments: the command line without the program.

  Returns:
    The exit status.
  """
  parser = argparse.ArgumentParser(
    prog='python -m lesionjax.evaluation.score',
    description='Scores a submission as the ISIC challenge of 2018 (Task 3) and 2019 does.',
  )
  parser.add_argument('submission', help='CSV: image, one probability a class')
  parser.add_argument('truth', help='CSV: image, 1.0 or 0.0 a class, weights where it has them')
  parser.add_argument('--metric', choices=official.METRICS, default=official.METRICS[0])
  parser.add_argument('--json', action='store_true', help='one JSON object instead of tables')
  options = parser.parse_args(arguments)
  try:
    truth = official.read_truth(options.truth)
    found = official.score(
      truth, official.read_submission(options.submission, truth), options.metric
    )
  except UserError as error:
    sys.stderr.write(f'Error: {error}\n')
    return REFUSED
  if options.json:
    print(json.dumps(found.to_dict(), indent=2, allow_nan=False))
  else:
    print(text(found, options.metric))
  return SCORED


def text(found: official.Score, metric: str) -> str:
  """The score as tables of plain text."""
  names = list(found.per_category)
  classes = list(found.per_category[names[0]])
  width = max(len('macro average'), *map(len, classes))
  rows = [(c, [found.per_category[name][c] for name in names]) for c in classes]
  rows.append(('macro average', [found.macro_average[name] for name in names]))
  lines = [
    f'{metric}: {_told(found.overall)} (under the validation weights {_told(found.validation)})',
    f'balanced_accuracy: {_told(found.aggregate["balanced_accuracy"])}',
    '',
    ' '.join([' ' * width, *(f'{name:>11}' for name in names)]),
    *(' '.join([f'{c:<{width}}', *(f'{_told(v):>11}' for v in values)]) for c, values in rows),
    *found.notes,
  ]
  return '\n'.join(lines)


def _told(value: float | None) -> str:
  return 'undefined' if value is None else f'{value:.6f}'


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
