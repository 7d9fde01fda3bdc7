"""The model card: what a run is for, what it was made from, how it does and where it ends.

Source: Mitchell et al., Model Cards for Model Reporting, FAT* (2019), figure 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from lesionjax.report import subgroups, tables
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import Run, number, read_json

_FEW_TRAINED = 100  # images of a class, below which a card warns
_WIDE = 0.3  # an interval from here on says little
_METRICS = {
  'macro_auc': 'Macro AUC',
  'balanced_accuracy': 'Balanced accuracy',
  'accuracy': 'Accuracy',
  'macro_f1': 'Macro F1',
}
_POINT = 'sensitivity_90'


def plots(run: Run) -> list[Plot]:
  """A card has no figures of its own."""
  del run
  return []


def context(run: Run) -> dict[str, Any] | None:
  """What the template shows; None where the directory is not one of a run that was evaluated."""
  if not run.config or not run.splits:
    return None
  return {
    'title': _title(run),
    'rows': [(name, lines) for name, lines in _rows(run) if lines],
  }


def is_non_commercial(licence: str) -> bool:
  """Whether a licence's name or text forbids commercial use, as CC BY-NC does."""
  return bool(re.search(r'\bNC\b|non-?commercial', licence, re.IGNORECASE))


def _rows(run: Run) -> list[tuple[str, list[str]]]:
  """Headings and their sentences."""
  return [
    ('Model', _model(run)),
    ('Intended for', _intended(run)),
    ('Not intended for', _not_intended(run)),
    ('Training data', _data(run)),
    ('Licence', _licence(run)),
    ('How it does', _metrics(run)),
    ('Operating point', _point(run)),
    ('Calibration', _calibration(run)),
    ('Subgroups', _subgroups(run)),
    ('Limits', _limits(run)),
    ('Made by', _made(run)),
  ]


def _title(run: Run) -> str:
  model = str(run.option('model.name', 'a classifier'))
  data = str(run.data.get('name') or run.option('data.name', ''))
  return f'Model card: {model} on {data}' if data else f'Model card: {model}'


def _model(run: Run) -> list[str]:
  size, height = run.option('data.size_px'), run.option('data.height_px')
  shape = f'{size} x {height or size} px' if size else 'images'
  start = 'drawn weights'
  if run.option('model.pretrained'):
    start = 'pretrained weights, whose own terms hold too'
  if run.option('init_from'):
    start = "another run's weights, whose data and their licence are part of these too"
  names = run.class_names
  return [
    f'{run.option("model.name", "Unnamed")}, {shape}, trained from {start}; it gives every image a'
    f' probability of each of {len(names)} classes: {", ".join(names)}.'
  ]


def _intended(run: Run) -> list[str]:
  told = 'Research on classifying dermoscopic images, and comparison with other methods on the same'
  told += ' split.'
  if run.option('protocol') == 'published':
    told += " It repeats a publication's protocol to check its figures, faults included."
  return [told]


def _not_intended(run: Run) -> list[str]:
  """A page says once, at its end, that it is no medical device: it is not repeated here."""
  return [
    'Decisions about a person: its thresholds, its errors and its use beside a physician were never'
    ' tried in practice.',
    f'Images of anything but {", ".join(run.class_names)}: each gets one of these names all the'
    ' same.',
    'Photographs without a dermatoscope, or prepared in another way than its training images.',
  ]


def _data(run: Run) -> list[str]:
  data = run.data
  if not data:
    return ['Not recorded: data.json is missing.']
  name = '/'.join(str(data[key]) for key in ('name', 'config') if data.get(key)) or 'unnamed'
  told = f'{name} {data.get("version") or ""}'.strip()
  train = (data.get('splits') or {}).get(str(run.option('data.train_split', 'train'))) or {}
  if train:
    told += f', {train.get("images", 0):,} training images of {train.get("groups", 0):,} lesions or'
    told += ' patients'
  lines = [told + '.']
  if data.get('fingerprint'):
    lines.append(f'Fingerprint of the split: {str(data["fingerprint"])[:16]}.')
  if run.option('data.synthetic'):
    lines.append('Generated images were added to the training split.')
  missing = number(data.get('missing'))
  if missing > 0:
    lines.append(f'{missing:,.0f} published images were missing when the data set was built.')
  return lines


def _licence(run: Run) -> list[str]:
  licence = str(run.data.get('licence') or '').strip()
  if not licence:
    return ['The licence of the training data is not stated: ask its owners before using weights.']
  if is_non_commercial(licence):
    return [f'The training data are under {licence}: the weights are for non-commercial use only.']
  return [f'The training data are under {licence}; the weights follow it.']


def _metrics(run: Run) -> list[str]:
  split = run.splits[0]
  found = run.metrics.get(split, {})
  told = []
  for key, name in _METRICS.items():
    shown = tables.cell(found.get(key))
    if shown['known']:
      told.append(f'{name} {shown["value"]}{_interval(shown)}')
  if not told:
    return []
  size = run.predictions.get(split)
  images = f', {len(size.labels):,} images' if size else ''
  return [f'{split.capitalize()} split{images}: {"; ".join(told)}.']


def _point(run: Run) -> list[str]:
  """The threshold that rates are told at, and how it was chosen."""
  content = read_json(run.directory / 'thresholds.json')
  fitted = content.get('fitted') or {}
  if not content:
    return []
  if fitted.get('problem') or _POINT not in (fitted.get('points') or {}):
    return [str(fitted.get('problem') or f'{_POINT} was not fitted.')]
  positive = content['positive']['name']
  point = fitted['points'][_POINT]
  told = (
    f'Called {positive} from a score of {point["threshold"]:.3f} on: the highest threshold that'
    f' reaches 90 % sensitivity on the {fitted["on"]} split.'
  )
  for split in run.splits:
    reached = ((content.get('splits') or {}).get(split) or {}).get('points', {}).get(_POINT)
    if reached:
      parts = [
        f'{name} {shown["value"]}{_interval(shown)}'
        for name in ('sensitivity', 'specificity')
        if (shown := tables.cell(reached[name]))['known']
      ]
      return [told, f'On {split}: {", ".join(parts)}.'] if parts else [told]
  return [told]


def _calibration(run: Run) -> list[str]:
  content = read_json(run.directory / 'calibration.json')
  for split in run.splits:
    found = (content.get('splits') or {}).get(split)
    if found and split != (content.get('fitted_on') or {}).get('split'):
      before, after = (tables.cell(found[key]['values'].get('ece')) for key in ('before', 'after'))
      if before['known'] and after['known']:
        return [
          f'Expected calibration error on {split} {before["value"]}{_interval(before)};'
          f' {after["value"]}{_interval(after)} with a temperature of'
          f' {content["temperature"]:.2f}.'
        ]
  return []


def _subgroups(run: Run) -> list[str]:
  content, found = subgroups.read(run)
  if not found:
    return ['No subgroups were measured: how it does by skin tone, sex or age is unknown.']
  return [subgroups.title(found).removeprefix('Subgroups: ').capitalize() + '.'] + (
    subgroups.sentences(content, found)[1:2] if found['attributes'] else []
  )


def _limits(run: Run) -> list[str]:
  """What the files themselves warn of."""
  told = []
  support = _support(run)
  if few := [f'{name} ({count})' for name, count in support.items() if count < _FEW_TRAINED]:
    told.append(f'Fewer than {_FEW_TRAINED} training images: {", ".join(few)}.')
  wide = _wide(run)
  if wide:
    told.append(
      f'Recall of {", ".join(wide)} is hardly known: its interval is wider than {_WIDE:g}.'
    )
  content, found = subgroups.read(run)
  if found:
    told += _unmeasured(content, found)
    within = found.get('within_source') or {}
    if within.get('single'):
      single = [f'{name} ({source})' for name, source in within['single'].items()]
      told.append(f'All images of a class come from one source: {", ".join(single)}.')
  if run.option('protocol') == 'published':
    told.append('The published protocol may have test lesions in training: see the rigorous twin.')
  if run.directory.parent.name != 'external':
    told.append('Tested on images of the same collections that it was trained on, nowhere else.')
  return told


def _support(run: Run) -> dict[str, int]:
  """Training images of every class."""
  splits = run.data.get('splits') or {}
  train = splits.get(str(run.option('data.train_split', 'train'))) or {}
  return {str(name): int(count) for name, count in (train.get('support') or {}).items()}


def _wide(run: Run) -> list[str]:
  metrics = run.metrics.get(run.splits[0], {})
  found = []
  for name in run.class_names:
    entry: Mapping[str, Any] = metrics.get(f'recall/{name}') or {}
    width = number(entry.get('high')) - number(entry.get('low'))
    if not math.isnan(width) and width >= _WIDE:
      found.append(name)
  return found


def _unmeasured(content: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
  """Attributes without a record, and skin on which nothing can be said of sensitivity."""
  told = []
  if absent := [subgroups.NAMES[name] for name in found['absent'] if name != 'tone']:
    told.append(f'Not recorded or not measurable, so not compared: {", ".join(absent)}.')
  skin = found['attributes'].get('skin')
  if skin:
    unknown = [
      f'{row["name"]} ({row["positive_groups"]})'
      for row in skin['subgroups']
      if row['sensitivity'] is None and row['name'] != 'not recorded'
    ]
    if unknown:
      told.append(
        f'Sensitivity is unknown on skin that is {", ".join(unknown)}: number of'
        f' {content["positive"]} lesions or patients in brackets.'
      )
  return told


def _made(run: Run) -> list[str]:
  environment = run.environment
  if not environment:
    return []
  parts = [
    str(environment.get('created') or '')[:10],
    f'commit {environment["commit"]}' if environment.get('commit') else '',
    f'Python {environment["python"]}' if environment.get('python') else '',
    f'jax {jax}' if (jax := (environment.get('packages') or {}).get('jax')) else '',
    f'seed {run.option("seed")}' if run.option('seed') is not None else '',
    f'recipe {run.option("recipe")}' if run.option('recipe') else '',
  ]
  return [', '.join(filter(None, parts)) + '.']


def _interval(shown: Mapping[str, Any]) -> str:
  return f' ({shown["interval"]})' if shown['interval'] else ''
