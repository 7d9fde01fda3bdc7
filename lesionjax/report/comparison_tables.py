"""Markdown tables of committed comparisons, made from docs/results/comparisons/*.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lesionjax.evaluation.comparison import UNDECIDED
from lesionjax.report import compare_words, tables
from lesionjax.report.run_files import number

PREFIX = 'comparison-'
"""Of the names of their blocks, so that none is taken for a system."""

_SEES = {
  'none': 'whole image',
  'mask': 'lesion on black',
  'crop': 'crop',
  'mask_crop': 'crop on black',
  'attention': 'whole image, masks in training',
}


def comparison(found: Mapping[str, Any]) -> str:
  """Returns one row for each run of a comparison, and what all rows have in common.

  Args:
    found: what compare.json holds, see `lesionjax.studies.comparing`.

  Returns:
    Markdown: a table, then a line with the number of images and the caution about chance.
  """
  pairs = {row['name']: row for row in found['differences']}
  told = compare_words.metrics_of(found)[: 4 if found['task'] == 'segment' else None]
  header = ['Run', 'Sees', 'Size', *(compare_words.metric_name(name, found) for name in told)]
  header += [f'Difference of {compare_words.metric_name(name, found)}' for name in _compared(found)]
  header += ['McNemar p', 'Without contour', 'Masks', 'Training', 'Evaluation', 'Memory']
  lines = [_line(run, pairs.get(run['name']), told, found) for run in found['runs']]
  rows = [header, ['---'] * len(header), *lines]
  body = ''.join(f'| {" | ".join(map(_escape, row))} |\n' for row in rows)
  facts = f'{found["images"]:,} images of {found["groups"]:,} lesions or patients'
  seeds = found.get('seeds', ())
  count = len(found['differences']) * len(_compared(found))
  return (
    f'{body}\nDifferences are to {found["reference"]}, image by image on the same {facts}'
    f' ({found["data"]}, {found["split"]}); bold where the 95 % interval excludes zero. They are'
    f' {count} comparisons, uncorrected: {0.05 * count:.1f} would be bold by chance. '
    + (
      f'Means of the seeds {", ".join(map(str, seeds))}; intervals draw lesions and seeds.\n'
      if seeds
      else 'One run each: what another seed would change is not in the intervals.\n'
    )
  )


def _compared(found: Mapping[str, Any]) -> list[str]:
  """What the table shows differences of: one recall, of all classes it would be too wide."""
  return [*found['compared'], *(['rare_recall'] if found.get('rare') else [])]


def _line(
  run: Mapping[str, Any],
  pair: Mapping[str, Any] | None,
  told: Sequence[str],
  found: Mapping[str, Any],
) -> list[str]:
  missing = run['lesion_missing']
  cells = [run['name'], _SEES.get(run['lesion'], run['lesion'])]
  cells += [f'{run["width_px"]}x{run["height_px"]}']
  cells += [_told(run['metrics'].get(name)) for name in told]
  if pair is None:
    cells += ['reference'] * len(_compared(found)) + ['']
  else:
    for name in _compared(found):
      entry = pair['differences'][name]
      words = _told(entry, signed=True)
      cells.append(words if entry['verdict'] == UNDECIDED else f'**{words}**')
    cells.append(compare_words.p_value(pair['mcnemar']))
  peak = run['peak_memory_mb']
  return [
    *cells,
    '' if missing is None else f'{missing:,.0f}',
    compare_words.masks_cost(run),
    tables.duration(number(run['train_wall_s'])),
    tables.duration(number(run['evaluate_wall_s'])),
    'unknown' if peak is None else f'{peak:,.0f} MB',
  ]


def _told(entry: Mapping[str, Any] | None, signed: bool = False) -> str:
  """'0.771 [0.730, 0.801]', as in the other tables of results."""
  if entry is None or entry.get('value') is None:
    return 'undefined' if entry else 'not measured'
  sign = '+' if signed else ''
  low, high = entry.get('low'), entry.get('high')
  interval = '' if low is None or high is None else f' [{low:{sign}.3f}, {high:{sign}.3f}]'
  return f'{entry["value"]:{sign}.3f}{interval}'


def _escape(cell: str) -> str:
  return cell.replace('|', '\\|').replace('\n', ' ')
