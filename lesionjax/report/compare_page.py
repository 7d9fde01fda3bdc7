"""The page of a comparison: every run with intervals, and against the reference in pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from lesionjax.evaluation.comparison import BETTER, UNDECIDED, WORSE
from lesionjax.host import files
from lesionjax.report import compare_added, compare_words, figures, rendering, tables
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import number

_CLASSES = {BETTER: 'good', WORSE: 'bad', UNDECIDED: 'open'}
_COLOURS = {BETTER: '#1B6E3C', WORSE: '#A61B1B', UNDECIDED: '#7B8794'}


def write(folder: epath.PathLike, found: Mapping[str, Any]) -> epath.Path:
  """Writes compare.html, one file without network, and the figures beside it.

  Args:
    folder: where they go.
    found: what compare.json holds, see `lesionjax.studies.comparing`.

  Returns:
    Path of the page.
  """
  folder = epath.Path(folder)
  added = compare_added.read(folder, found)
  with figures.style():
    plots = {
      'differences': [_forest(found, name) for name in found['compared']],
      'recall': compare_added.recall_plots(found),
      'added': compare_added.map_plots(added),
    }
    shown = rendering.write_figures(folder / 'figures', plots)
  told = compare_added.sections(added)
  page = (
    rendering.environment()
    .get_template('compare.html.j2')
    .render(
      title=compare_words.title(found),
      folder=folder.name,
      facts=compare_words.facts(found),
      sentences=compare_words.sentences(found),
      caution=compare_words.cautions(found),
      plots=shown,
      added=told,
      maps=compare_added.map_counts(told),
      reference=found['reference'],
      compared=[compare_words.metric_name(name, found) for name in found['compared']],
      segments=found['task'] == 'segment',
      tested=any(row['mcnemar'] for row in found['differences']),
      several=len(found.get('seeds', ())) > 1,
      differences=[_difference_row(row, found) for row in found['differences']],
      recalls=[compare_words.metric_name(name, found) for name in found.get('recalls', ())],
      recall_differences=[
        {'name': row['name'], 'cells': _difference_cells(row, found.get('recalls', ()))}
        for row in found['differences']
      ],
      metrics=[compare_words.metric_name(name, found) for name in compare_words.metrics_of(found)],
      runs=[_run_row(row, found) for row in found['runs']],
      costs=[_cost_row(row) for row in found['runs']],
      missing=any(row['lesion_missing'] is not None for row in found['runs']),
      phased=any(row.get('best_phase') for row in found['runs']),
    )
  )
  report = folder / 'compare.html'
  files.write_text(report, page)
  return report


def text(found: Mapping[str, Any]) -> str:
  """The comparison as lines to print."""
  metrics = [name for name in compare_words.metrics_of(found) if '/' not in name][:4]
  first = found['compared'][0]
  head = ['run', *(compare_words.metric_name(name, found) for name in metrics)]
  head += [
    f'{compare_words.metric_name(first, found)} - {found["reference"]}',
    'verdict',
    'McNemar p',
  ]
  pairs = {row['name']: row for row in found['differences']}
  lines = [head]
  for run in found['runs']:
    told = [_told(run['metrics'].get(name)) for name in metrics]
    pair = pairs.get(run['name'])
    rest = ['reference', '', '']
    if pair:
      entry = pair['differences'][first]
      rest = [_told(entry, signed=True), entry['verdict'], compare_words.p_value(pair['mcnemar'])]
    lines.append([run['name'], *told, *rest])
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  rows = [
    '  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
  ]
  return '\n'.join(
    [
      *(row.rstrip() for row in rows),
      *compare_words.sentences(found),
      compare_words.cautions(found)[0],
    ]
  )


def _forest(found: Mapping[str, Any], metric: str) -> Plot:
  """One line a run: its difference to the reference, and the interval."""
  rows = found['differences']
  figure, axes = figures.new_figure(0.9 + 0.24 * len(rows))
  for at, row in enumerate(rows):
    entry = row['differences'][metric]
    value, low, high = (number(entry[key]) for key in ('value', 'low', 'high'))
    colour = _COLOURS[entry['verdict']]
    if not math.isnan(low) and not math.isnan(high):
      axes.plot([low, high], [at, at], color=colour, linewidth=2.2, solid_capstyle='butt')
    axes.plot([value], [at], 'o', color=colour, markersize=4.5)
  axes.axvline(0, color=figures.INK, linewidth=0.9)
  axes.set_yticks(range(len(rows)), [figures.shorten(row['name'], 18) for row in rows])
  axes.set_ylim(len(rows) - 0.4, -0.6)
  axes.grid(False, axis='y')
  axes.locator_params(axis='x', nbins=6)  # small differences have long numbers
  name = compare_words.metric_name(metric, found)
  axes.set_xlabel(f'{name}, run - {figures.shorten(found["reference"], 18)}')
  values = [_told(row['differences'][metric], signed=True) for row in rows]
  alt = f'{name}, difference to {found["reference"]} with 95 % intervals: '
  alt += figures.describe([row['name'] for row in rows], values) + '.'
  return Plot(f'compare_{metric}', f'{name}: difference to {found["reference"]}', alt, figure)


def _difference_row(row: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
  test = row['mcnemar']
  return {
    'name': row['name'],
    'cells': _difference_cells(row, found['compared']),
    'b': f'{test["b"]:,}' if test else '-',
    'c': f'{test["c"]:,}' if test else '-',
    'p': compare_words.p_value(test),
  }


def _difference_cells(row: Mapping[str, Any], metrics: Sequence[str]) -> list[dict[str, str]]:
  entries = [row['differences'][metric] for metric in metrics]
  return [
    {
      'told': _signed(entry['value']),
      'interval': _interval(entry, signed=True),
      'verdict': entry['verdict'],
      'kind': _CLASSES[entry['verdict']],
    }
    for entry in entries
  ]


def _run_row(row: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
  cells = []
  for metric in compare_words.metrics_of(found):
    cell = tables.cell(row['metrics'].get(metric))
    if metric == 'hd95_percent':
      cell['strip'] = None  # not a share
    cells.append({**cell, 'n': ''})
  return {'name': row['name'], 'cells': cells, 'reference': row['name'] == found['reference']}


def _cost_row(row: Mapping[str, Any]) -> dict[str, Any]:
  parameters, missing = row['parameters'], row['lesion_missing']
  unknown = '-' if row['lesion'] == 'none' else 'not recorded'
  peak = number(row['peak_memory_mb'])
  sees = {
    'none': 'whole image',
    'mask': 'lesion on black',
    'crop': 'crop of the lesion',
    'mask_crop': 'crop of the lesion, on black',
    'attention': 'whole image; masks in training',
  }
  return {
    'name': row['name'],
    'cells': [
      str(row['model'] or 'unknown'),
      f'{row["width_px"]}x{row["height_px"]}' if row['width_px'] else 'unknown',
      sees.get(row['lesion'], str(row['lesion'])),
      'unknown' if parameters is None else f'{parameters / 1e6:.2f} million',
      tables.duration(number(row['train_wall_s'])),
      tables.duration(number(row['evaluate_wall_s'])),
      'unknown' if np.isnan(peak) else f'{peak:,.0f} MB',
    ],
    'phase': row.get('best_phase') or '-',
    'missing': unknown if missing is None else f'{missing:,.0f}',
    'masks': compare_words.masks_cost(row),
  }


def _told(entry: Mapping[str, Any] | None, signed: bool = False) -> str:
  """'0.771 (0.730 to 0.801)'."""
  if entry is None or entry.get('value') is None:
    return 'undefined' if entry else 'not measured'
  value = _signed(entry['value']) if signed else f'{entry["value"]:.3f}'
  interval = _interval(entry, signed)
  return f'{value} ({interval})' if interval else value


def _interval(entry: Mapping[str, Any], signed: bool = False) -> str:
  limits: Sequence[float] = [number(entry.get(key)) for key in ('low', 'high')]
  if any(map(math.isnan, limits)):
    return ''
  return ' to '.join(_signed(limit) if signed else f'{limit:.3f}' for limit in limits)


def _signed(value: float | None) -> str:
  return 'undefined' if value is None else f'{value:+.3f}'
