"""Numbers of a run as rows of text for the page's tables."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from lesionjax.report.figures import class_colour
from lesionjax.report.run_files import BESIDE, Run, number

_OVERALL = {
  'macro_auc': 'Macro AUC (one against the rest)',
  'colour_baseline_auc': 'Colour baseline, macro AUC',
  'accuracy': 'Accuracy',
  'majority_accuracy': 'Accuracy of the most frequent class',
  'balanced_accuracy': 'Balanced accuracy',
  'sensitivity': 'Sensitivity',
  'specificity': 'Specificity',
  'average_precision': 'Average precision',
  'macro_precision': 'Macro precision',
  'macro_recall': 'Macro recall',
  'macro_f1': 'Macro F1',
  'weighted_precision': 'Weighted precision',
  'weighted_recall': 'Weighted recall',
  'weighted_f1': 'Weighted F1',
  'log_loss': 'Log loss (nats, lower is better)',
  'lesion_missing': 'Images without a usable lesion, seen whole',
  'lesion_at_border': 'Lesions that reach the border of the image',
  'dice': 'Dice',
  'jaccard': 'Jaccard',
  'threshold_jaccard': 'Jaccard, 0 below 0.65',
  'pixel_accuracy': 'Pixel accuracy',
  'hd95_percent': '95 % Hausdorff distance (% of the diagonal, lower is better)',
  'failure': 'Failures, Jaccard below 0.65 (lower is better)',
  'fid': 'FID, features of the judge (lower is better)',
  'kid': 'KID, features of the judge (lower is better)',
  'manifold_precision': 'Precision: generated images within the manifold of real ones',
  'manifold_recall': 'Recall: real images within the manifold of generated ones',
  'judge_recall': 'Generated images recognised, mean over classes',
  'real_recall': 'Real images recognised, mean over classes',
  'judge_ratio': 'Generated images recognised, as a share of real ones',
  'memorised': 'Generated images nearer to training than training to itself (lower is better)',
  'real_memorised': 'The same of real held-out images',
  'discriminator_loss': 'Loss of the discriminator',
  'real_logit': 'Logit of real images',
  'fake_logit': 'Logit of generated images',
}
PER_CLASS = {
  'recall': 'Recall',
  'precision': 'Precision',
  'f1': 'F1',
  'auc': 'AUC',
  'average_precision': 'Average precision',
}

Entry = Mapping[str, Any]


def cell(entry: Entry | None) -> dict[str, Any]:
  """One metric as text.

  Args:
    entry: {'value', 'low', 'high', 'n'} or None where it was not measured.

  Returns:
    value: '0.934', 'undefined' or 'not measured'; interval: '0.921 to 0.945' or ''; n: '1,503' or
    ''; strip: where value and interval lie between 0 and 1 in percent, or None.
  """
  if entry is None:
    return {'value': 'not measured', 'interval': '', 'n': '', 'strip': None, 'known': False}
  value, low, high = (number(entry.get(key)) for key in ('value', 'low', 'high'))
  n = number(entry.get('n'))
  told = {
    'value': 'undefined' if math.isnan(value) else f'{value:.3f}',
    'interval': '' if math.isnan(low) or math.isnan(high) else f'{low:.3f} to {high:.3f}',
    'n': '' if math.isnan(n) else f'{n:,.0f}',
    'known': not math.isnan(value),
  }
  return told | {'strip': strip(value, low, high)}


def border(entry: Entry | None) -> str:
  """The sentence about lesions that reach the border of their image; '' where none was counted.

  Args:
    entry: lesion_at_border of metrics.json.
  """
  if not entry or math.isnan(share := number(entry.get('value'))):
    return ''
  count = number(entry.get('n'))
  low, high = (f'{100 * number(entry.get(key)):.1f}' for key in ('low', 'high'))
  return (
    f'In {share * count:,.0f} of {count:,.0f} images with a lesion its mask reaches the border of'
    f' the image ({100 * share:.1f} %, {low} to {high}): part of it may lie outside, and a crop'
    ' ends there.'
  )


def strip(value: float, low: float, high: float, start: float = 0.0) -> dict[str, float] | None:
  """Left edge, width and point of an interval, in percent of a track from `start` to 1."""
  if math.isnan(value):
    return None
  low, high = (value if math.isnan(limit) else limit for limit in (low, high))

  def place(x: float) -> float:
    return round(100 * min(max((x - start) / (1 - start), 0.0), 1.0), 2)

  return {'left': place(low), 'width': round(place(high) - place(low), 2), 'point': place(value)}


_BESIDE_WORDS = {
  '_plain': 'threshold 0.5',
  '_otsu': "Otsu's threshold",
  '_gain': 'difference to Otsu',
}


def overall_rows(run: Run) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
  """Metrics that are not of one class, for every evaluated split and per lesion.

  Returns:
    Columns as (title, n), and rows {'name', 'cells'}; what a later version adds comes last. A cell
    tells its n only where it is not the column's.
  """
  splits = sorted(run.splits, key=lambda name: name != 'validation')
  columns = [
    name
    for split in splits
    # What a segmenter is held against is shown for one split: the table must fit.
    for name in (
      split,
      *(split + suffix for suffix in (BESIDE if split == splits[-1] else BESIDE[:1])),
    )
    if name in run.metrics
  ]
  named = [name for split in columns for name in run.metrics[split] if '/' not in name]
  order = [name for name in _OVERALL if name in named]
  order += sorted(set(named) - set(order))
  sizes = {split: cell(_first(run.metrics[split]))['n'] for split in columns}
  rows = []
  for name in order:
    cells = [_without(cell(run.metrics[split].get(name)), sizes[split]) for split in columns]
    rows.append({'name': _OVERALL.get(name, name.replace('_', ' ')), 'cells': cells})
  return [(_column(column), sizes[column]) for column in columns], rows


def _column(name: str) -> str:
  """'test, Otsu' for 'test_otsu'."""
  for suffix, words in _BESIDE_WORDS.items():
    if name.endswith(suffix):
      return f'{name.removesuffix(suffix)}, {words}'
  return name.replace('_', ' ')


def _first(metrics: Mapping[str, Any]) -> Entry | None:
  """A metric that rests on all images."""
  names = ('accuracy', 'dice', 'fake_logit')
  return next((metrics[name] for name in names if name in metrics), None)


def class_rows(run: Run, split: str) -> list[dict[str, Any]]:
  """One row a class: support and every per-class metric of a split.

  A cell tells its n only where it is not the support.
  """
  metrics = run.metrics.get(split, {})
  rows = []
  for index, name in enumerate(run.class_names):
    support = number((metrics.get(f'support/{name}') or {}).get('value'))
    told = 'not measured' if math.isnan(support) else f'{support:,.0f}'
    cells = [_without(cell(metrics.get(f'{kind}/{name}')), told) for kind in PER_CLASS]
    rows.append({'name': name, 'colour': class_colour(index), 'support': told, 'cells': cells})
  return rows


def _without(told: dict[str, Any], n: str) -> dict[str, Any]:
  return told | {'n': '' if told['n'] == n else told['n']}


def config_sections(config: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
  """The configuration as (section, [(dotted key, value)]); what is in no section comes first."""
  loose = {key: value for key, value in config.items() if not isinstance(value, dict)}
  sections = [('general', _leaves(loose, ''))] if loose else []
  for key, value in config.items():
    if isinstance(value, dict):
      sections.append((key, _leaves(value, f'{key}.')))
  return sections


def _leaves(values: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
  found: list[tuple[str, str]] = []
  for key, value in values.items():
    if isinstance(value, dict) and value:
      found += _leaves(value, f'{prefix}{key}.')
    else:
      found.append((f'{prefix}{key}', json.dumps(value, ensure_ascii=False)))
  return found


def environment_rows(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
  """Hardware, time and versions as (name, text); what the file does not hold is left out."""
  wall = environment.get('wall_s') or {}
  seconds = [f'{name} {duration(number(value))}' for name, value in wall.items()]
  devices = [str(device) for device in environment.get('devices') or []]
  memory, peak = environment.get('memory_gb'), environment.get('peak_memory_mb')
  cores = environment.get('cores')
  rows = [
    ('Created', environment.get('created')),
    ('Wall time', ', '.join(seconds)),
    ('Devices', f'{len(devices)} x {", ".join(sorted(set(devices)))}' if devices else ''),
    ('Backend', environment.get('backend')),
    ('Processor', environment.get('cpu')),
    ('Cores', cores),
    ('Memory', f'{memory} GB' if memory else ''),
    ('Peak memory', f'{peak:,} MB' if isinstance(peak, int | float) else ''),
    ('Commit', environment.get('commit')),
    ('Python', environment.get('python')),
    ('Platform', environment.get('platform')),
  ]
  return [(name, str(value)) for name, value in rows if value]


def duration(seconds: float) -> str:
  """'1 h 05 min', '5 min 12 s', '8.1 s'."""
  if math.isnan(seconds):
    return 'unknown'
  if seconds < 60:
    return f'{seconds:.1f} s'
  minutes, rest = divmod(round(seconds), 60)
  if minutes < 60:
    return f'{minutes} min {rest:02d} s'
  hours, minutes = divmod(minutes, 60)
  return f'{hours} h {minutes:02d} min'
