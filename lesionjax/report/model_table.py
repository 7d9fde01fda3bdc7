"""The README's table of models: `python -m lesionjax.report.model_table [--check]`.

Parameters and arithmetic are counted, sources and licences read from `MODELS`, images a second from
the lines of docs/benchmarks that the benchmarks printed.
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

from data_builders.errors import UserError
from lesionjax.host import files
from lesionjax.models import MODELS, build_model
from lesionjax.models.cost import count

PAGE = 'README.md'
_BLOCK = re.compile(r'(<!-- models:begin -->\n).*?(<!-- models:end -->)', re.DOTALL)
_UNMEASURED_PX = 64  # for models without pretrained weights, which name no size
_LICENCES = {'apache-2.0': 'Apache-2.0', 'bsd-3-clause': 'BSD-3-Clause'}


def rows(root: pathlib.Path) -> list[list[str]]:
  """Returns the cells of the table, a row a model.

  Args:
    root: the repository.
  """
  measured = {kind: _measured(root, kind) for kind in ('inference', 'train_step')}
  table = []
  for name, spec in MODELS.items():
    weights = spec.pretrained
    size_px = weights.size_px if weights else _UNMEASURED_PX
    params, gflop = count(build_model(name, 1000), size_px)
    source = '-'
    if weights:
      where = f'https://huggingface.co/{weights.repository}'
      source = f'[{weights.repository}]({where}), {_LICENCES[weights.licence]}'
    speed = [
      _speed(measured[kind].get((name, device)))
      for device in ('cpu', 'gpu')
      for kind in ('inference', 'train_step')
    ]
    table.append([f'`{name}`', f'{params / 1e6:.1f}', f'{gflop:.2f} at {size_px}', source, *speed])
  return table


def _measured(root: pathlib.Path, kind: str) -> dict[tuple[str, str], dict[str, Any]]:
  """Returns (model, 'cpu' or 'gpu') -> the last line of a benchmark at 224 px or more."""
  path = root / 'docs' / 'benchmarks' / f'{kind}.jsonl'
  found = {}
  for line in path.read_text().splitlines() if path.exists() else []:
    result = json.loads(line)
    if result['size'] >= 224:
      device = 'cpu' if result['device'] == 'cpu' else 'gpu'
      found[result['model'], device] = result
  return found


def _speed(result: dict[str, Any] | None) -> str:
  """Returns images a second, and how many times the peer's that is."""
  if result is None:
    return 'not measured'
  at = f'{result["size"]} px, ' if result['size'] != 224 else ''
  return f'{result["batch"] / result["ours"]:.1f} ({at}{result["ratio"]:.2f})'


def render(table: Sequence[Sequence[str]]) -> str:
  """Returns the table as Markdown."""
  titles = ['model', 'million parameters', 'GFLOP', 'ImageNet weights']
  titles += ['CPU inference', 'CPU training', 'GPU inference', 'GPU training']
  lines = [titles, ['---', '---:', '---:', '---', *['---:'] * 4], *table]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit status."""
  parser = argparse.ArgumentParser(prog='python -m lesionjax.report.model_table')
  parser.add_argument('--root', default='.', type=pathlib.Path, help='the repository')
  parser.add_argument('--check', action='store_true', help='write nothing, exit 1 if it drifted')
  arguments = parser.parse_args(argv)
  try:
    path = arguments.root / PAGE
    if not path.exists() or not _BLOCK.search(before := path.read_text()):
      raise UserError(
        f'{path} needs the lines "<!-- models:begin -->" and "<!-- models:end -->": the table goes'
        ' between them.'
      )
  except UserError as error:
    print(f'Error: {error}', file=sys.stderr)
    return 1
  table = render(rows(arguments.root))
  after = _BLOCK.sub(lambda match: f'{match[1]}\n{table}\n\n{match[2]}', before)
  if after == before:
    return 0
  if arguments.check:
    lines = before.splitlines(), after.splitlines()
    print('\n'.join(difflib.unified_diff(*lines, PAGE, f'{PAGE} (counted)', lineterm='')))
    print('Run `make results` and commit the page.', file=sys.stderr)
    return 1
  files.write_text(path, after)
  return 0


if __name__ == '__main__':
  sys.exit(main())
