"""Committed results: a finished run becomes one JSON file, and the files become the tables.

`python -m lesionjax.report.results add RUN --system=ham_resnet --row=uniform`
`python -m lesionjax.report.results add RUN --system=ham_binary --row=ROW --point=best_f1`
`python -m lesionjax.report.results add_comparison RUNS --name=two_stage_melanoma`
`python -m lesionjax.report.results table [--check]`
"""

from __future__ import annotations

import argparse
import difflib
import json
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

from etils import epath

from data_builders.errors import UserError
from lesionjax.host import files
from lesionjax.report import result_extras, result_points, result_tables

PAGES = ('docs/results.md', 'README.md')

_COMPARISONS = 'comparisons'  # the directory below docs/results
_BEYOND = ('calibration', 'novelty', 'toning')
_PARTS = ('config', 'metrics', 'data', 'environment')
_OF_RUN = (*_PARTS, 'thresholds')

# A path from the root or from home, not part of a URL, of a relative path or of a fraction.
_ABSOLUTE = re.compile(r'(?<![\w./:~])~?/(?:[^\s\'",;:=]+)')
# What data.json says of its source is prose: a slash there is no path.
_PROSE = ('citation', 'description', 'homepage', 'licence')


def add(
  run: epath.PathLike,
  root: pathlib.Path,
  system: str,
  protocol: str = '',
  row: str = '',
  split: str = 'test',
  name: str = '',
  note: str = '',
  point: str = '',
) -> pathlib.Path:
  """Copies the numbers of a finished run, and what explains them, into docs/results.

  Args:
    run: the run's directory, or one that `--mode=evaluate` wrote.
    root: the repository.
    system: a system of docs/results/claims.json.
    protocol: 'published' or 'rigorous'; empty = what the run's config says.
    row: which row of that system; may be left out where it has only one.
    split: which split of metrics.json the tables show.
    name: of the file; empty = made of system, row, protocol and seed.
    note: shown beside the run.
    point: an operating point of thresholds.json, whose numbers stand in place of those of the most
      probable class (see `result_points`); empty = none.

  Returns:
    The JSON file that was written.

  Raises:
    UserError: the run is not finished, or does not fit what it is added as.
  """
  content = {key: _read(epath.Path(run) / f'{key}.json') for key in _PARTS}
  config = content['config']
  protocol = protocol or config.get('protocol', '')
  claims = read_claims(root)
  _check(claims, content, system, protocol, split)
  row = _row(claims[system], system, row, content['data'].get('name', ''))
  name = name or f'{system}-{row}-{protocol}-seed{config.get("seed", 0)}'
  _check_name(name)
  beyond = {key: _read_beside(epath.Path(run) / f'{key}.json') for key in _BEYOND}
  more = result_extras.extras(*beyond.values())
  metrics = {name: found | more.get(name, {}) for name, found in content['metrics'].items()}
  taken: dict[str, Any] = {}
  if point:
    thresholds = _read(epath.Path(run) / 'thresholds.json')
    metrics, taken['point'] = result_points.at_point(metrics, thresholds, point, split, protocol)
  result = {
    'name': name, 'system': system, 'row': row, 'protocol': protocol, 'split': split, 'note': note,
    'config': scrub(config, root),
    **taken,
    'metrics': metrics,
    'data': scrub(content['data'], root, keep=_PROSE),
    'environment': scrub(content['environment'], root),
  }  # fmt: skip
  path = root / 'docs' / 'results' / f'{name}.json'
  files.write_json(path, result)
  return path


def add_comparison(folder: epath.PathLike, root: pathlib.Path, name: str) -> pathlib.Path:
  """Copies what `--mode=compare` found into docs/results/comparisons.

  Args:
    folder: the directory that holds the runs and compare.json.
    root: the repository.
    name: of the file and, after 'comparison-', of its table's marker.

  Returns:
    The JSON file that was written.

  Raises:
    UserError: there is no compare.json, or the name is none for a file.
  """
  _check_name(name)
  path = epath.Path(folder) / 'compare.json'
  if not path.exists():
    raise UserError(
      f'{path} is missing: run `python main.py --mode=compare --workdir={folder}` first.'
    )
  written = root / 'docs' / 'results' / _COMPARISONS / f'{name}.json'
  files.write_json(written, scrub(_read(path), root))
  return written


def tables(root: pathlib.Path, check: bool = False) -> list[str]:
  """Brings the tables of docs/results.md and README.md up to date.

  Args:
    root: the repository.
    check: write nothing.

  Returns:
    Unified diffs of the pages whose tables had drifted.

  Raises:
    UserError: a page or a result cannot be read, or lacks its markers.
  """
  claims, results, comparisons = read_claims(root), read_results(root), read_comparisons(root)
  diffs = []
  for page in PAGES:
    path = root / page
    try:
      before = path.read_text()
    except OSError as error:
      raise UserError(f'{path} cannot be read ({error.strerror}): restore it.') from error
    after = result_tables.fill(before, claims, results, comparisons, page)
    if after == before:
      continue
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    diffs.append(''.join(difflib.unified_diff(*lines, page, f'{page} (from docs/results)')))
    if not check:
      files.write_text(path, after)
  return diffs


def read_claims(root: pathlib.Path) -> dict[str, Any]:
  """Returns docs/results/claims.json: what the texts claim, system by system."""
  return _read(root / 'docs' / 'results' / 'claims.json')


def read_results(root: pathlib.Path) -> list[dict[str, Any]]:
  """Returns every committed result, in the order of the file names."""
  paths = sorted((root / 'docs' / 'results').glob('*.json'))
  return [_read(path) for path in paths if path.name != 'claims.json']


def read_comparisons(root: pathlib.Path) -> dict[str, Any]:
  """Returns every committed comparison by its name."""
  paths = sorted((root / 'docs' / 'results' / _COMPARISONS).glob('*.json'))
  return {path.stem: _read(path) for path in paths}


def scrub(value: Any, root: pathlib.Path, keep: Sequence[str] = ()) -> Any:
  """Returns JSON data without the absolute paths of the machine it was written on.

  Args:
    value: dicts, lists, strings, numbers.
    root: the repository: paths in it become relative, of all others only the last part stays.
    keep: keys whose values are left as they are.
  """
  if isinstance(value, dict):
    return {k: v if k in keep else scrub(v, root, keep) for k, v in value.items()}
  if isinstance(value, list):
    return [scrub(item, root, keep) for item in value]
  if not isinstance(value, str):
    return value

  def shorten(match: re.Match[str]) -> str:
    path = pathlib.Path(match[0])
    if path.is_relative_to(root.resolve()):
      return path.relative_to(root.resolve()).as_posix()
    return f'.../{path.name}'

  return _ABSOLUTE.sub(shorten, value)


def _check_name(name: str) -> None:
  if not re.fullmatch(r'[\w.-]+', name) or name == 'claims':
    raise UserError(f'--name={name} is no file name: use letters, digits, "-", "_" and ".".')


def _check(
  claims: dict[str, Any], content: dict[str, Any], system: str, protocol: str, split: str
) -> None:
  if system not in claims:
    raise UserError(
      f'--system={system} is not one of {", ".join(claims)}: name one, or add it to '
      'docs/results/claims.json.'
    )
  if protocol not in result_tables.PROTOCOLS:
    raise UserError(f'--protocol={protocol} is not one of {", ".join(result_tables.PROTOCOLS)}.')
  ran = content['config'].get('protocol', protocol)
  if ran != protocol:
    raise UserError(
      f"--protocol={protocol}, but the run's config.json says protocol={ran}: add it as that."
    )
  if split not in content['metrics']:
    raise UserError(f'--split={split} is not in metrics.json: {", ".join(content["metrics"])} are.')


def _row(claim: dict[str, Any], system: str, row: str, dataset: str) -> str:
  rows = claim['rows']
  if not row and len(rows) == 1:
    row = next(iter(rows))
  if row not in rows:
    raise UserError(f'--row={row} is not a row of {system}: it has {", ".join(rows)}.')
  expected = rows[row].get('dataset', claim['dataset'])
  if dataset != expected:
    raise UserError(
      f'The run was scored on {dataset}, but the row {row} of {system} is about {expected}: add it '
      'to another row, or give claims.json a row of its own for it.'
    )
  return row


def _read(path: epath.Path | pathlib.Path) -> Any:
  try:
    return json.loads(path.read_text())
  except FileNotFoundError as error:
    raise UserError(
      f'{path} is missing: name the directory of a run that is finished (trained and evaluated).'
      if path.stem in _OF_RUN
      else f'{path} is missing: run this in a clone of the repository, or give --root.'
    ) from error
  except (json.JSONDecodeError, UnicodeDecodeError) as error:
    raise UserError(f'{path} is not JSON ({error}): restore it.') from error


def _read_beside(path: epath.Path) -> dict[str, Any]:
  """A file that not every run has; {} where it is missing."""
  return _read(path) if path.exists() else {}


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit status."""
  parser = argparse.ArgumentParser(prog='python -m lesionjax.report.results', description=__doc__)
  parser.add_argument('--root', default='.', type=pathlib.Path, help='the repository')
  commands = parser.add_subparsers(dest='command', required=True)
  adding = commands.add_parser('add', help='copy a finished run into docs/results')
  adding.add_argument('run', help='directory of the run')
  adding.add_argument('--system', required=True, help='a system of docs/results/claims.json')
  adding.add_argument('--protocol', default='', help="published or rigorous; default the run's")
  adding.add_argument('--row', default='', help='row of the system, where it has several')
  adding.add_argument('--split', default='test', help='split of metrics.json that is shown')
  adding.add_argument('--name', default='', help='file name without .json')
  adding.add_argument('--point', default='', help='of thresholds.json, such as best_f1')
  adding.add_argument('--note', default='', help='shown beside the run')
  comparing = commands.add_parser('add_comparison', help='copy what --mode=compare found')
  comparing.add_argument('folder', help='directory of the runs and of compare.json')
  comparing.add_argument('--name', required=True, help='of the table: comparison-NAME')
  table = commands.add_parser('table', help='write the tables of docs/results.md and README.md')
  table.add_argument(
    '--check', action='store_true', help='write nothing, exit 1 if a table drifted'
  )
  arguments = vars(parser.parse_args(argv))
  command = arguments.pop('command')
  try:
    if command != 'table':
      print({'add': add, 'add_comparison': add_comparison}[command](**arguments))
      diffs = tables(arguments['root'])
    else:
      diffs = tables(**arguments)
  except UserError as error:
    print(f'Error: {error}', file=sys.stderr)
    return 1
  if command == 'table' and arguments['check'] and diffs:
    print(''.join(diffs), 'Run `make results` and commit the pages.', sep='\n', file=sys.stderr)
    return 1
  return 0


if __name__ == '__main__':
  sys.exit(main())
