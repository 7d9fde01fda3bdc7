"""Leakage audit of a table or of built data sets.

  python -m lesionjax.evaluation.audit TABLE.csv --split=split --group=lesion_id,patient_id \
    --label=dx [--images=DIR,ZIP] [--registration] [--json=OUT]
  python -m lesionjax.evaluation.audit TABLE.csv --simulate=0.8 --group=lesion_id --label=dx
  python -m lesionjax.evaluation.audit ham10000,isic2019 --data_dir=data [--images=records]

An image leaks when its group is in training as well; several group columns mean: connected through
any of them, and an empty value is its own group. Built data sets are connected through group,
lesion, patient, image id and the shipped list of near-duplicates, and their folds are checked.

Exit status: 0 clean (and after --simulate), 1 something leaks, 2 the audit could not run.

The report goes to stdout; --json writes the same as one object:

  verdict                the sentence
  leaks                  true or false
  audited, images, groups, group_by, dropped
                         what was looked at
  training               name of the training split
  splits                 {split: {images, leaked_images, leaked_share, classes: {class: the same}}}
  groups_in_two_other_splits
                         {'a + b': {groups, examples}}
  ids_in_two_splits      {image id: [splits]}
  repeated_ids           [image ids that one split holds twice], no leak
  folds                  null, or {divided_groups: {group: [folds]}, in_training_and_elsewhere: []}
  support                {split: {class: images}}
  classes_missing        {'a, not in b': [classes]}, no leak
  groups_with_two_labels {group: {class: images}}, no leak
  near_duplicates        null, or {images, missing, missing_examples, registration, within_a_split,
                         within_a_group, across_splits: [{images, splits, similarity, mirrored,
                         stage: 'signature' | 'registration', orientation | inliers, zoom,
                         turn_deg}]}
  generated              null, or {images, outside_training, made_from: {split: {images, examples}}}
                         with --synthetic=DIR or where ids say so: generated images outside
                         training, and held-out images that their generator was trained on
  simulation             instead of the findings about splits, after --simulate: {train_share,
                         seeds, expected, mean, sd, classes: {class: {images, expected, mean, sd}}};
                         shares 0..1 of the images outside training, expected by the closed form
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from data_builders.errors import UserError
from lesionjax.evaluation import audit_copies, audit_findings, audit_rows, audit_text
from lesionjax.host import files

CLEAN, LEAKS, COULD_NOT_RUN = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
  """Audits what the command line names and prints the report.

  Args:
    arguments: the command line without the program.

  Returns:
    The exit status.
  """
  try:
    options = _parser().parse_args(arguments)
    return _audit(options)
  except UserError as error:
    sys.stderr.write(f'Error: {error}\n')
  except SystemExit as stop:  # argparse has said what is wrong, or printed the help
    return CLEAN if not stop.code else COULD_NOT_RUN
  except KeyboardInterrupt:
    sys.stderr.write('Interrupted.\n')
  except Exception:  # Python would exit with 1, which here means that something leaks
    traceback.print_exc()
  return COULD_NOT_RUN


def _audit(options: argparse.Namespace) -> int:
  rows = _rows(options)
  if options.simulate is not None:
    if options.images or options.registration:
      raise UserError('--simulate looks at no images; leave --images and --registration out.')
    findings = audit_findings.simulate(rows, options.simulate)
  else:
    if rows.splits is None:
      raise UserError('Name the column of splits with --split=COLUMN, or give --simulate=0.8.')
    train = audit_rows.training_name(rows.splits, options.train)
    copies = None
    if options.images:
      copies = audit_copies.find(rows, _listed(options.images), options.registration)
    elif options.registration:
      raise UserError('--registration looks at images; name them with --images=DIR or ZIP.')
    findings = audit_findings.examine(rows, train, copies)
  sys.stdout.write(audit_text.render(findings) + '\n')
  if options.json:
    files.write_json(options.json, {'verdict': audit_text.verdict(findings), **findings})
  return LEAKS if findings['leaks'] else CLEAN


def _rows(options: argparse.Namespace) -> audit_rows.Rows:
  table_flags = ('split', 'group', 'label', 'image', 'join', 'drop')
  if options.what.lower().endswith('.csv') or os.path.isfile(options.what):
    if not options.group:
      raise UserError('Name the columns that connect images with --group=lesion_id,patient_id.')
    for name in ('data_dir', 'synthetic'):
      if getattr(options, name):
        raise UserError(f'--{name} is for built data sets, {options.what} is a table.')
    return audit_rows.from_table(
      audit_rows.TableOptions(
        path=options.what,
        group=_listed(options.group),
        label=_listed(options.label),
        split=options.split,
        image=options.image,
        join=options.join,
        drop=options.drop,
      )
    )
  given = [f'--{name}' for name in table_flags if getattr(options, name)]
  if given:
    raise UserError(
      f'{", ".join(given)} is for tables, and {options.what} is no file; a built data set names its'
      ' own splits, groups and labels.'
    )
  from lesionjax.evaluation.audit_records import from_data_sets  # TFDS takes a second

  return from_data_sets(options.what, options.data_dir or None, options.synthetic)


def _listed(text: str) -> tuple[str, ...]:
  return tuple(part.strip() for part in text.split(',') if part.strip())


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m lesionjax.evaluation.audit',
    description='Leakage audit: status 0 clean, 1 something leaks, 2 could not run.',
    allow_abbrev=False,
  )
  parser.add_argument('what', help='TABLE.csv, or built data sets: NAME[/CONFIG][,NAME...]')
  parser.add_argument('--split', default='', help='column of splits')
  parser.add_argument('--group', default='', help='columns that connect images, comma-separated')
  parser.add_argument('--label', default='', help='column of classes, or all one-hot columns')
  parser.add_argument('--image', default='', help='column of image ids')
  parser.add_argument('--train', default='', help='name of the training split')
  parser.add_argument('--join', default='', help='second table, joined by image id')
  parser.add_argument('--drop', default='', help='FILE.csv:COLUMN, image ids to leave out')
  parser.add_argument('--data_dir', default='', help='where the data sets were built')
  parser.add_argument(
    '--synthetic', default='', help='--out of --mode=generate: generated images in training'
  )
  parser.add_argument(
    '--images', default='', help="directories and zips with the images; 'records': the data set's"
  )
  parser.add_argument(
    '--registration', action='store_true', help='find shifted and zoomed copies, too: slow'
  )
  parser.add_argument(
    '--simulate', type=float, help='share in training of a random split to simulate'
  )
  parser.add_argument('--json', default='', help='file for the findings as JSON')
  return parser


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
