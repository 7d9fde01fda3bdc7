"""Markdown tables of claimed, reproduced and rigorous numbers, made from docs/results/*.json."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from data_builders.errors import UserError
from lesionjax.report import comparison_tables

PROTOCOLS = ('published', 'rigorous')

_NOT_RUN = 'not run'
_NO_CLAIM = 'no claim'
_BLOCK = re.compile(
  r'(?P<begin><!-- results:begin (?P<name>[\w-]+) -->\n).*?(?P<end><!-- results:end (?P=name) -->)',
  re.DOTALL,
)

Claims = Mapping[str, Any]
Results = Sequence[Mapping[str, Any]]


def fill(
  text: str, claims: Claims, results: Results, comparisons: Mapping[str, Any], where: str
) -> str:
  """Replaces what stands between the markers of a Markdown page.

  A block is `<!-- results:begin NAME -->`, anything, `<!-- results:end NAME -->`. NAME is
  `summary` (one row for each system), `runs` (where the numbers come from), a system of claims, or
  a comparison's name after 'comparison-'.

  Args:
    text: the page.
    claims: content of claims.json, system -> claims.
    results: content of the other JSON files, one for each run.
    comparisons: content of what compare.json files were committed, by name.
    where: name of the page, for messages.

  Returns:
    The page with fresh tables; text outside the markers is untouched.

  Raises:
    UserError: there is no marker, a marker without its partner, or an unknown NAME.
  """
  blocks = [match['name'] for match in _BLOCK.finditer(text)]
  if not blocks or text.count('<!-- results:') != 2 * len(blocks):
    raise UserError(
      f'{where} needs its markers in pairs, "<!-- results:begin summary -->" and '
      '"<!-- results:end summary -->", each on a line of its own: the tables go between them.'
    )
  compared = {f'{comparison_tables.PREFIX}{name}': found for name, found in comparisons.items()}
  known = ('summary', 'runs', *claims, *compared)
  for name in blocks:
    if name not in known:
      raise UserError(
        f'{where} has the marker "results:begin {name}", which is not one of {", ".join(known)}.'
      )

  def block(match: re.Match[str]) -> str:
    name = match['name']
    if name == 'summary':
      table = summary(claims, results)
    elif name == 'runs':
      table = runs(results)
    elif name in compared:
      table = comparison_tables.comparison(compared[name])
    else:
      table = system(claims[name], [r for r in results if r['system'] == name])
    return f'{match["begin"]}\n{table}\n{match["end"]}'

  return _BLOCK.sub(block, text)


def summary(claims: Claims, results: Results) -> str:
  """Returns one row for each system: its headline number claimed, reproduced and rigorous."""
  lines = []
  for name, claim in claims.items():
    row, metric = claim['headline']
    mine = [r for r in results if r['system'] == name and r['row'] == row]
    where = f'`{name}`: {claim["rows"][row]["label"]}'
    lines.append([where, _metric(metric), *_cells(claim['rows'][row], metric, mine)])
  return _table(['System', 'Metric', 'Claimed', 'Reproduced', 'Rigorous'], lines)


def system(claim: Mapping[str, Any], results: Results) -> str:
  """Returns one row for each number of a system, the claimed ones first."""
  lines = []
  for row, entry in claim['rows'].items():
    mine = [r for r in results if r['row'] == row]
    metrics = list(dict.fromkeys([*entry['claimed'], *entry.get('show', ())]))
    for i, metric in enumerate(metrics):
      label = '' if i else entry['label']
      lines.append([label, _metric(metric), *_cells(entry, metric, mine)])
  return _table(['Run', 'Metric', 'Claimed', 'Reproduced', 'Rigorous'], lines)


def runs(results: Results) -> str:
  """Returns one row for each run: what it took to make the numbers."""
  lines = []
  for result in sorted(results, key=lambda r: r['name']):
    environment, data = result['environment'], result['data']
    wall_s = sum((environment.get('wall_s') or {}).values())
    hardware = ', '.join(dict.fromkeys(environment.get('devices') or []))
    if environment.get('backend') == 'cpu':
      hardware = f'{environment.get("cores")} cores, {environment.get("cpu")}'
    lines.append(
      [
        f'[{result["name"]}]({"results/" + result["name"]}.json)',
        f'`{environment.get("command", "")}`',
        f'{data.get("name")}/{data.get("config")} {data.get("version")}',
        environment.get('commit') or 'unknown',
        hardware,
        f'{wall_s / 60:.1f} min',
        result.get('note') or '',
      ]
    )
  if not lines:
    return 'No run has been added yet.\n'
  return _table(['Result', 'Command', 'Data', 'Commit', 'Hardware', 'Time', 'Note'], lines)


def _cells(entry: Mapping[str, Any], metric: str, results: Results) -> list[str]:
  claimed = entry['claimed'].get(metric)
  published, rigorous = (_measured(metric, results, protocol) for protocol in PROTOCOLS)
  if not entry['claimed'] and published == _NOT_RUN:
    published = _NO_CLAIM  # a recipe of ours: there is nothing to reproduce
  return [_NO_CLAIM if claimed is None else _number(claimed), published, rigorous]


def _measured(metric: str, results: Results, protocol: str) -> str:
  """Returns value and 95 % interval of one run, or mean and range of several seeds."""
  mine = [r for r in results if r['protocol'] == protocol]
  if not mine:
    return _NOT_RUN
  found = [r['metrics'].get(r['split'], {}).get(metric) for r in mine]
  if None in found:
    return 'not measured'
  values = [entry['value'] for entry in found]
  if None in values:
    return 'undefined'
  if len(values) > 1:
    return (
      f'{_number(statistics.fmean(values))} (mean of {len(values)} runs, '
      f'{_number(min(values))} to {_number(max(values))})'
    )
  low, high = found[0].get('low'), found[0].get('high')
  interval = '' if low is None or high is None else f' [{_number(low)}, {_number(high)}]'
  return _number(values[0]) + interval


def _number(value: float | str) -> str:
  return value if isinstance(value, str) else f'{value:.3f}'


def _metric(name: str) -> str:
  kind, _, class_name = name.partition('/')
  words = (w.upper() if w in ('auc', 'f1', 'ece', 'fpr') else w for w in kind.split('_'))
  return ' '.join(words) + (f' of {class_name}' if class_name else '')


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
  rows = [header, ['---'] * len(header), *lines]
  escaped = ([str(cell).replace('|', '\\|').replace('\n', ' ') for cell in row] for row in rows)
  return ''.join(f'| {" | ".join(row)} |\n' for row in escaped)
