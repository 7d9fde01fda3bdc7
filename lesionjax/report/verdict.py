"""The headline: a few numbers, and in plain words what their intervals allow to say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lesionjax.report.run_files import PER_LESION, Run, number
from lesionjax.report.tables import border, cell, strip

# metric, title, where its track starts, the metric or line it is held against and that one's name
_TILES = (
  ('macro_auc', 'Macro AUC', 0.5, 'colour_baseline_auc', 'colour baseline'),
  ('balanced_accuracy', 'Balanced accuracy', 0.0, 'chance', 'chance'),
  ('accuracy', 'Accuracy', 0.0, 'majority_accuracy', 'always the most frequent class'),
  ('sensitivity', 'Sensitivity', 0.0, '', ''),
  ('specificity', 'Specificity', 0.0, '', ''),
  ('macro_f1', 'Macro F1', 0.0, '', ''),
  ('colour_baseline_auc', 'Colour baseline, macro AUC', 0.5, '', ''),
  ('majority_accuracy', 'Always the most frequent class, accuracy', 0.0, '', ''),
)

_OPTIONAL = ('sensitivity', 'specificity', 'macro_f1')

Metrics = Mapping[str, Mapping[str, Any]]


def tiles(run: Run, split: str) -> list[dict[str, Any]]:
  """The headline numbers of a split, per lesion beside per image.

  Returns:
    One dictionary a tile: title, cell and lesion (see `tables.cell`), strip on the tile's own
    track with its start, and mark: position and text of the line the number is held against.
  """
  metrics, lesions = run.metrics.get(split, {}), run.metrics.get(split + PER_LESION, {})
  chance = {'value': 1 / max(len(run.class_names), 1)}
  binary = len(run.class_names) == 2
  found = []
  for name, title, start, reference, words in _TILES:
    entry = metrics.get(name)
    if entry is None and name in _OPTIONAL:
      continue
    value, low, high = (number((entry or {}).get(key)) for key in ('value', 'low', 'high'))
    line = number((chance if reference == 'chance' else metrics.get(reference, {})).get('value'))
    mark = None
    if not math.isnan(line):
      place = strip(line, line, line, start)
      mark = {'point': place['point'] if place else 0, 'text': f'{words} {line:.3f}'}
    found.append(
      {
        'title': title.replace('Macro AUC', 'AUC') if binary else title,
        'cell': cell(entry),
        'lesion': cell(lesions[name]) if name in lesions else None,
        'strip': strip(value, low, high, start),
        'start': f'{start:g}',
        'mark': mark,
      }
    )
  return found


def compare(ours: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> str:
  """'above', 'below' or 'level' (the 95 % intervals touch), '' where one is missing."""
  limits = [number((entry or {}).get(key)) for entry in (ours, other) for key in ('low', 'high')]
  if any(math.isnan(limit) for limit in limits):
    return ''
  low, high, other_low, other_high = limits
  return 'above' if low > other_high else 'below' if high < other_low else 'level'


def verdict(run: Run, split: str) -> tuple[str, list[str]]:
  """What the intervals of a split allow to say.

  Returns:
    A title and sentences in plain words.
  """
  metrics = run.metrics.get(split, {})
  colour = compare(metrics.get('macro_auc'), metrics.get('colour_baseline_auc'))
  majority = compare(metrics.get('accuracy'), metrics.get('majority_accuracy'))
  sentences = [_size(run, split), _colour(metrics, colour), _majority(metrics, majority)]
  sentences += [_classes(run, metrics), border(metrics.get('lesion_at_border'))]
  title = {
    ('above', 'above'): 'Better than colour alone and than always naming the most frequent class',
    ('above', 'level'): 'Better than colour alone; accuracy level with the most frequent class',
    ('above', 'below'): 'Better than colour alone; less accurate than the most frequent class',
    ('level', 'above'): 'Not shown to add to colour alone',
    ('level', 'level'): 'Not shown to add to colour alone, nor to the most frequent class',
    ('level', 'below'): 'Not shown to add to colour alone',
    ('below', 'above'): 'Worse than colour alone',
    ('below', 'level'): 'Worse than colour alone',
    ('below', 'below'): 'Worse than colour alone and than always naming the most frequent class',
  }.get((colour, majority))
  if title is None:
    title = {
      'above': 'More accurate than always naming the most frequent class',
      'level': 'Accuracy level with always naming the most frequent class',
      'below': 'Less accurate than always naming the most frequent class',
    }.get(majority, 'No verdict: the numbers it needs were not measured')
  return title, [sentence for sentence in sentences if sentence]


def _size(run: Run, split: str) -> str:
  predictions = run.predictions.get(split)
  entry = run.metrics.get(split, {}).get('macro_auc')
  if predictions is None:
    return ''
  images, groups = len(predictions.labels), len(set(predictions.group_ids.tolist()))
  text = f'{images:,} images of {groups:,} lesions or patients in the {split} split'
  if entry is None or math.isnan(number(entry.get('value'))):
    return f'Evaluated on {text}; the area under the ROC curve is undefined there.'
  macro = '' if len(run.class_names) == 2 else 'macro '
  return f'On {text}, the {macro}area under the ROC curve is {_told(entry)}.'


def _colour(metrics: Metrics, outcome: str) -> str:
  other = metrics.get('colour_baseline_auc')
  if other is None:
    return 'No colour baseline was measured, so how much of this is colour alone is unknown.'
  if not outcome:
    return ''
  words = {
    'above': 'That is above what 15 colour statistics reach without looking at shape, {}.',
    'level': 'The intervals of the network and of 15 colour statistics, {}, overlap: that the '
    'network adds anything to colour is not shown.',
    'below': 'That is below what 15 colour statistics reach without looking at shape, {}.',
  }
  return words[outcome].format(_told(other))


def _majority(metrics: Metrics, outcome: str) -> str:
  if not outcome:
    return ''
  words = {
    'above': 'Accuracy, {}, is above that of always naming the most frequent class, {}.',
    'level': 'Accuracy, {}, cannot be told from that of always naming the most frequent class, {}.',
    'below': 'Accuracy, {}, is below that of always naming the most frequent class, {}.',
  }
  return words[outcome].format(_told(metrics['accuracy']), _told(metrics['majority_accuracy']))


def _classes(run: Run, metrics: Metrics) -> str:
  recalls = [
    (number(metrics[f'recall/{name}'].get('value')), name)
    for name in run.class_names
    if f'recall/{name}' in metrics
  ]
  recalls = [(value, name) for value, name in recalls if not math.isnan(value)]
  if 'balanced_accuracy' not in metrics or not recalls:
    return ''
  worst, best = min(recalls), max(recalls)
  return (
    f'The mean recall of the classes is {_told(metrics["balanced_accuracy"])} (guessing: '
    f'{1 / len(run.class_names):.3f}), from {_told(metrics[f"recall/{worst[1]}"])} for {worst[1]} '
    f'to {_told(metrics[f"recall/{best[1]}"])} for {best[1]}.'
  )


def _told(entry: Mapping[str, Any]) -> str:
  text = cell(entry)
  return f'{text["value"]} ({text["interval"]})' if text['interval'] else text['value']
