"""The page of a comparison: every run with intervals, and against the reference in pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from lesionjax import files
from lesionjax.evaluation.comparison import BETTER, UNDECIDED, WORSE
from lesionjax.report import figures, rendering, tables
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import number

_TITLES = {
  'balanced_accuracy': 'Balanced accuracy',
  'macro_auc': 'AUC',
  'accuracy': 'Accuracy',
  'macro_f1': 'Macro F1',
  'dice': 'Dice',
  'jaccard': 'Jaccard',
  'threshold_jaccard': 'Threshold Jaccard',
  'pixel_accuracy': 'Pixel accuracy',
  'sensitivity': 'Sensitivity',
  'specificity': 'Specificity',
  'hd95_percent': 'HD95 (% of the diagonal)',
  'failure': 'Failures',
}
_MASKS = (
  'dice', 'threshold_jaccard', 'jaccard', 'pixel_accuracy', 'sensitivity', 'specificity',
  'hd95_percent', 'failure',
)  # fmt: skip
_CLASSES = {BETTER: 'good', WORSE: 'bad', UNDECIDED: 'open'}
_COLOURS = {BETTER: '#1B6E3C', WORSE: '#A61B1B', UNDECIDED: '#7B8794'}


def write(folder: epath.PathLike, found: Mapping[str, Any]) -> epath.Path:
  """Writes compare.html, one file without network, and the figures beside it.

  Args:
    folder: where they go.
    found: what compare.json holds, see `lesionjax.comparing`.

  Returns:
    Path of the page.
  """
  folder = epath.Path(folder)
  with figures.style():
    plots = {'differences': [_forest(found, name) for name in found['compared']]}
    shown = rendering.write_figures(folder / 'figures', plots)
  page = (
    rendering.environment()
    .get_template('compare.html.j2')
    .render(
      title=_title(found),
      folder=folder.name,
      facts=_facts(found),
      sentences=_sentences(found),
      caution=_caution(found),
      plots=shown,
      reference=found['reference'],
      compared=[metric_name(name, found) for name in found['compared']],
      segments=found['task'] == 'segment',
      differences=[_difference_row(row, found) for row in found['differences']],
      metrics=[metric_name(name, found) for name in metrics_of(found)],
      runs=[_run_row(row, found) for row in found['runs']],
      costs=[_cost_row(row) for row in found['runs']],
      missing=any(row['lesion_missing'] is not None for row in found['runs']),
    )
  )
  report = folder / 'compare.html'
  files.write_text(report, page)
  return report


def text(found: Mapping[str, Any]) -> str:
  """The comparison as lines to print."""
  metrics = [name for name in metrics_of(found) if '/' not in name][:4]
  first = found['compared'][0]
  head = ['run', *(metric_name(name, found) for name in metrics)]
  head += [f'{metric_name(first, found)} - {found["reference"]}', 'verdict', 'McNemar p']
  pairs = {row['name']: row for row in found['differences']}
  lines = [head]
  for run in found['runs']:
    told = [_told(run['metrics'].get(name)) for name in metrics]
    pair = pairs.get(run['name'])
    rest = ['reference', '', '']
    if pair:
      entry = pair['differences'][first]
      rest = [_told(entry, signed=True), entry['verdict'], p_value(pair['mcnemar']['p'])]
    lines.append([run['name'], *told, *rest])
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  rows = [
    '  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
  ]
  return '\n'.join([*(row.rstrip() for row in rows), *_sentences(found), _caution(found)[0]])


def metrics_of(found: Mapping[str, Any]) -> list[str]:
  """Returns the metrics that the table of runs shows, in its order.

  Args:
    found: what compare.json holds.
  """
  if found['task'] == 'segment':
    return list(_MASKS)
  names = ['balanced_accuracy', 'macro_auc', 'accuracy']
  names += [f'recall/{name}' for name in found['class_names']]
  positive = found['positive']
  return names + ([f'precision/{positive}', f'f1/{positive}'] if positive else ['macro_f1'])


def metric_name(metric: str, found: Mapping[str, Any]) -> str:
  """Returns a metric's name for people.

  Args:
    metric: as in metrics.json.
    found: what compare.json holds.
  """
  kind, _, label = metric.partition('/')
  if label:
    return f'{tables.PER_CLASS[kind]}, {label}'
  return 'Macro AUC' if metric == 'macro_auc' and not found['positive'] else _TITLES[metric]


def _title(found: Mapping[str, Any]) -> str:
  first, others = found['compared'][0], len(found['differences'])
  verdicts = [row['differences'][first]['verdict'] for row in found['differences']]
  better, worse = verdicts.count(BETTER), verdicts.count(WORSE)
  one = f'{metric_name(first, found)} against {found["reference"]}'
  if others == 1:
    words = 'not shown to differ' if verdicts[0] == UNDECIDED else verdicts[0]
    return f'{one}: {found["differences"][0]["name"]} is {words}'
  if not better and not worse:
    return f'{one}: no run is shown to differ'
  return f'{one}: {better} better, {worse} worse, {others - better - worse} not shown to differ'


def _facts(found: Mapping[str, Any]) -> list[str]:
  facts = [found['data'], f'{found["split"]} split', f'{len(found["runs"])} runs']
  return [fact for fact in facts if fact]


def _sentences(found: Mapping[str, Any]) -> list[str]:
  """What the intervals allow to say, in plain words."""
  reference = found['reference']
  support = ''
  if found['task'] == 'classify':
    counted = zip(found['class_names'], found['support'], strict=True)
    support = f' ({", ".join(f"{name} {count:,}" for name, count in counted)})'
  sentences = [
    f'All runs were scored on the same {found["images"]:,} images of {found["groups"]:,} lesions or'
    f' patients{support}.'
  ]
  for metric in found['compared']:
    by_verdict = {
      verdict: [
        row['name']
        for row in found['differences']
        if row['differences'][metric]['verdict'] == verdict
      ]
      for verdict in (BETTER, WORSE, UNDECIDED)
    }
    parts = [
      f'{words} {", ".join(by_verdict[verdict])}'
      for verdict, words in ((BETTER, 'better'), (WORSE, 'worse'))
      if by_verdict[verdict]
    ]
    rest = len(by_verdict[UNDECIDED])
    parts += [f'no difference shown for {rest}'] if rest else []
    sentences.append(f'{metric_name(metric, found)} against {reference}: {"; ".join(parts)}.')
  if found['left_out']:
    sentences.append(f'Not finished and left out: {", ".join(found["left_out"])}.')
  return sentences


def _caution(found: Mapping[str, Any]) -> list[str]:
  """What must be thought of before a verdict is believed."""
  runs, metrics = len(found['differences']), len(found['compared'])
  count = runs * metrics
  cautions = [
    f'These are {count} comparisons ({runs} {"run" if runs == 1 else "runs"}, {metrics} metrics),'
    f' uncorrected: if nothing'
    f' differed, each would be called different in 5 % of cases, {0.05 * count:.1f} of them here.',
    'Intervals tell how much depends on which lesions or patients are in the test set. Each run was'
    ' trained once: how much another seed would change is not in them.',
    'No difference shown does not mean equal: the interval says how large a difference may be.',
  ]
  if found['task'] == 'segment':
    cautions.append(
      'Each run is measured at the size of its own masks, and McNemar counts images with a Jaccard'
      ' of at least 0.65 as right.'
    )
  return cautions


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
  name = metric_name(metric, found)
  axes.set_xlabel(f'{name}, run - {figures.shorten(found["reference"], 18)}')
  values = [_told(row['differences'][metric], signed=True) for row in rows]
  alt = f'{name}, difference to {found["reference"]} with 95 % intervals: '
  alt += figures.describe([row['name'] for row in rows], values) + '.'
  return Plot(f'compare_{metric}', f'{name}: difference to {found["reference"]}', alt, figure)


def _difference_row(row: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
  entries = [row['differences'][metric] for metric in found['compared']]
  return {
    'name': row['name'],
    'cells': [
      {
        'told': _signed(entry['value']),
        'interval': _interval(entry, signed=True),
        'verdict': entry['verdict'],
        'kind': _CLASSES[entry['verdict']],
      }
      for entry in entries
    ],
    'b': f'{row["mcnemar"]["b"]:,}',
    'c': f'{row["mcnemar"]["c"]:,}',
    'p': p_value(row['mcnemar']['p']),
  }


def _run_row(row: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
  cells = []
  for metric in metrics_of(found):
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
    'missing': unknown if missing is None else f'{missing:,.0f}',
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


def p_value(p: float) -> str:
  """Returns a p-value to three decimals."""
  return '< 0.001' if p < 0.001 else f'{p:.3f}'
