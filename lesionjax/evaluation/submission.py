"""Writes predictions as a submission to the ISIC challenge of 2018 (Task 3) or 2019.

  python -m lesionjax.evaluation.submission RUN --out=submission.csv [--split=test]
    [--challenge=2018|2019] [--truth=truth.csv]

RUN is the directory of a run (its predictions_<split>.npz is read), such an .npz file, the
directory that --mode=predict wrote or its predictions.csv, whose images are named by their file
without the ending. The challenge is that of the classes unless it is told: classes may be finer
than its columns (AK and SCC go to AKIEC of 2018), never coarser. --truth writes the labels of the
same images in the format of a truth table.

Exit status: 0, or 2 where nothing could be written, with one sentence on stderr.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from data_builders.errors import UserError
from data_builders.tables import read_table
from lesionjax.evaluation.official import writing
from lesionjax.host import files
from lesionjax.report.run_files import read_npz

WRITTEN, REFUSED = 0, 2
TABLE, PREFIX = 'predictions.csv', 'p_'


class Found(NamedTuple):
  """Predictions of N images.

  Attributes:
    images: N ids.
    class_names: K names.
    probabilities: float [N, K].
    labels: int [N]; None where nothing says what the images show.
  """

  images: list[str]
  class_names: tuple[str, ...]
  probabilities: np.ndarray
  labels: np.ndarray | None


def main(arguments: Sequence[str]) -> int:
  """Writes what the command line asks for.

  Args:
    arguments: the command line without the program.

  Returns:
    The exit status.
  """
  parser = argparse.ArgumentParser(
    prog='python -m lesionjax.evaluation.submission',
    description='Writes predictions as a submission to the ISIC challenge.',
  )
  parser.add_argument('predictions', help='directory of a run or of --mode=predict, .npz or .csv')
  parser.add_argument('--out', required=True, help='the submission, a CSV file')
  parser.add_argument('--split', default='test', help='of a run, whose predictions (default: test)')
  parser.add_argument('--challenge', choices=tuple(writing.CATEGORIES), default='')
  parser.add_argument('--truth', default='', help='also write the truth table of the images here')
  options = parser.parse_args(arguments)
  try:
    found = read(options.predictions, options.split)
    challenge = options.challenge or writing.challenge_of(found.class_names)
    tables = {
      options.out: writing.submission(
        found.images, found.probabilities, found.class_names, challenge
      )
    }
    if options.truth:
      if found.labels is None:
        raise UserError(f'--truth: {options.predictions} says no labels; give a run or its .npz.')
      tables[options.truth] = writing.truth(
        found.images, found.labels, found.class_names, challenge
      )
    for path, text in tables.items():
      files.write_text(path, text)
      print(f'{path}: {len(found.images):,} images, columns of {challenge}')
  except UserError as error:
    sys.stderr.write(f'Error: {error}\n')
    return REFUSED
  return WRITTEN


def read(place: str, split: str = 'test') -> Found:
  """Reads predictions.

  Args:
    place: see the module.
    split: of a run.

  Raises:
    UserError: there are none, or they cannot be read.
  """
  path = epath.Path(place)
  if path.is_dir():
    named = path / f'predictions_{split}.npz'
    path = path / TABLE if not named.exists() and (path / TABLE).exists() else named
  if not path.exists():
    others = sorted(each.name for each in path.parent.glob('predictions*'))
    raise UserError(
      f'{path} is not there (its directory holds {", ".join(others) or "no predictions"}): give a'
      ' run that was evaluated, and one of its splits.'
    )
  if path.suffix == '.csv':
    return _read_table(path)
  found = read_npz(path, _of_run)
  assert found is not None  # the file is there
  return found


def _of_run(arrays: Any) -> Found:
  return Found(
    arrays['image_id'].tolist(),
    tuple(arrays['class_names'].tolist()),
    arrays['probabilities'],
    arrays['label'].astype(np.int64),
  )


def _read_table(path: epath.Path) -> Found:
  table = read_table(path, ('image',), 'image')
  names = tuple(name.removeprefix(PREFIX) for name in table.rows[0] if name.startswith(PREFIX))
  if len(names) < 2:
    raise UserError(f'{path} has no columns {PREFIX}CLASS: give what --mode=predict wrote.')
  images = [pathlib.PurePosixPath(name).stem for name in table.column('image')]
  try:
    rows = [[float(row[PREFIX + name]) for name in names] for row in table.rows]
  except ValueError:
    bad = [name for name, row in zip(images, table.rows, strict=True) if not row[PREFIX + names[0]]]
    raise UserError(
      f'{path}: {len(bad)} of {len(images)} images have no prediction'
      f'{", such as " + bad[0] if bad else ""}; a submission needs one for every image.'
    ) from None
  return Found(images, names, np.array(rows), None)


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
