"""The report's section on operating points: what fitted thresholds do, and a slider to explore."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.evaluation.operating import SPECIFICITIES, Positive, positive_of
from lesionjax.report import figures, tables
from lesionjax.report.figures import Plot
from lesionjax.report.operating_slider import slider_data
from lesionjax.report.run_files import Run, number, read_json

FILE = 'thresholds.json'
START = 'sensitivity_90'

_RATES = {
  'sensitivity': 'Sensitivity',
  'specificity': 'Specificity',
  'ppv': 'PPV',
  'npv': 'NPV',
  'accuracy': 'Accuracy',
  'f1': 'F1',
  'balanced_accuracy': 'Balanced accuracy',
  'referred': 'Referred',
}


def plots(run: Run) -> list[Plot]:
  """The decision curve of the split that the page is about."""
  content = read_json(run.directory / FILE)
  split = _split(run, content)
  curve = content.get('splits', {}).get(split, {}).get('net_benefit')
  return [_decision_curve(curve, split)] if curve else []


def context(run: Run) -> dict[str, Any] | None:
  """What the template shows; None where the run has no thresholds.json.

  Raises:
    UserError: thresholds.json is damaged.
  """
  content = read_json(run.directory / FILE)
  if not content:
    return None
  try:
    return _context(run, content, _split(run, content))
  except (KeyError, TypeError, AttributeError) as error:
    raise UserError(
      f'{run.directory / FILE} lacks {error}: write it again with --mode=evaluate.'
    ) from error


def _split(run: Run, content: Mapping[str, Any]) -> str:
  """The measured split that the page is about."""
  measured = content.get('splits') or {}
  return next((name for name in run.splits if name in measured), next(iter(measured), ''))


def _context(run: Run, content: dict[str, Any], split: str) -> dict[str, Any]:
  fitted, measured = content['fitted'], content['splits'][split]
  ratio = content['cost_ratio']
  points = {
    name: point for name, point in measured['points'].items() if not name.startswith('specificity')
  }
  named = {
    name: (title(name, ratio), point['threshold']) for name, point in measured['points'].items()
  }
  tuned = content.get('tuned_on_test')
  slider = _slider(run, content, split, named)
  return {
    'title': 'Operating points: what a threshold finds and what it costs',
    'split': split,
    'on': fitted['on'] or '',
    'positive': content['positive']['name'],
    'sentences': _sentences(content, fitted, measured, split),
    'problems': [*filter(None, [fitted['problem']])],
    'rates': list(_RATES.values()),
    'rows': [_row(name, point, fitted['points'][name], ratio) for name, point in points.items()],
    'note': _note(content, fitted, split),
    'slider': slider,
    'buttons': [{'name': name, 'title': title} for name, (title, _) in named.items()],
    'fixed': _fixed(measured),
    'worth': worth(measured.get('net_benefit'), split),
    'tuned': tuned and {
      'on': tuned['on'],
      'note': tuned['note'],
      'problem': tuned['problem'],
      'rows': [_row(name, point, None, ratio) for name, point in tuned['points'].items()],
    },
  }  # fmt: skip


def title(name: str, cost_ratio: float) -> str:
  """A point's name for people."""
  kind, _, percent = name.partition('_')
  if percent.isdecimal():
    return f'{kind} ≥ {percent} %'
  words = {'best_f1': 'best F1', 'youden': 'Youden', 'cost': f'a miss costs {cost_ratio:g} alarms'}
  return words.get(name, name.replace('_', ' '))


def _row(
  name: str, point: Mapping[str, Any], fitted: Mapping[str, Any] | None, ratio: float
) -> dict[str, Any]:
  reached = ''
  if fitted is not None:
    sensitivity, specificity = (number(fitted[kind]) for kind in ('sensitivity', 'specificity'))
    reached = f'{sensitivity:.3f} / {specificity:.3f}'
  tp, fp, fn, tn = (number(point[kind]['value']) for kind in ('tp', 'fp', 'fn', 'tn'))
  return {
    'title': title(name, ratio),
    'threshold': f'{point["threshold"]:.4g}',
    'reached': reached,
    'cells': [_cell(point[kind]) for kind in _RATES],
    'counts': [
      f'{tp:,.0f} found',
      f'{fn:,.0f} missed',
      f'{fp:,.0f} alarms',
      f'{tn:,.0f} spared',
    ],
  }


def _cell(entry: Mapping[str, Any]) -> dict[str, Any]:
  """A rate as text, without n, which would crowd the table; the reason where it is undefined."""
  told = tables.cell(entry)
  reason = entry.get('reason')
  return told | {'n': '', 'interval': reason if reason and not told['known'] else told['interval']}


def _sentences(
  content: Mapping[str, Any], fitted: Mapping[str, Any], measured: Mapping[str, Any], split: str
) -> list[str]:
  """The finding first, then what positive means."""
  positive, told = content['positive'], []
  start = measured['points'].get(START)
  if start and number(start['sensitivity']['value']) >= 0:
    told.append(
      f'At the threshold that finds 90 % of the {positive["name"]} images on {fitted["on"]},'
      f' {split} has a sensitivity of {_told(start["sensitivity"])} and a specificity of'
      f' {_told(start["specificity"])}; {_told(start["referred"])} of the images are referred.'
    )
  told.append(_positive(positive, measured))
  return told


def _positive(positive: Mapping[str, Any], measured: Mapping[str, Any]) -> str:
  classes = positive['classes']
  if positive['problem']:
    return positive['problem']
  what = f'Positive is {positive["name"]}'
  if classes != [positive['name']]:
    what += f' ({", ".join(classes)}: their probabilities are added)'
  what += f', {measured["positives"]:,} of {measured["images"]:,} images'
  if positive['unknown']:
    what += f'; {", ".join(positive["unknown"])} may hold malignant ones and count as negative'
  return what + '. An image is referred where its score reaches the threshold.'


def _note(content: Mapping[str, Any], fitted: Mapping[str, Any], split: str) -> str:
  if not fitted['points']:
    return ''
  return (
    f'Thresholds were fitted on {fitted["on"]} ({fitted["positives"]:,} positive of'
    f' {fitted["images"]:,} images) and applied to {split} unchanged; below each stand its'
    f' sensitivity and specificity there. Found and missed are positive; alarms are negative and'
    ' referred, spared ones are not. Intervals: 95 % bootstrap over lesions or patients'
    " (Wilson's where a rate is 0 or 1). PPV and NPV hold for the share of positives in this split,"
    ' which no clinic has.'
  )


def _told(entry: Mapping[str, Any]) -> str:
  told = tables.cell(entry)
  return f'{told["value"]} ({told["interval"]})' if told['interval'] else told['value']


def _slider(
  run: Run, content: Mapping[str, Any], split: str, named: Mapping[str, tuple[str, float]]
) -> dict[str, Any] | None:
  """Counts of the split's own scores; None where nothing can be counted."""
  predictions = run.predictions.get(split)
  if predictions is None or not len(predictions.labels) or content['positive']['problem']:
    return None
  positive: Positive = positive_of(content['positive']['name'], predictions.class_names)
  truth = positive.truth(predictions.labels)
  return slider_data(truth, positive.score(predictions.probabilities), named, START)


def _fixed(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
  """Rows of the table of sensitivity at a fixed specificity."""
  curve = measured.get('sensitivity_at_specificity') or {}
  rows = []
  for percent in map(str, SPECIFICITIES):
    if percent not in curve:
      continue
    point = measured['points'].get(f'specificity_{percent}') or {}
    rows.append(
      {
        'title': f'{percent} %',
        'fitted': _cell(point.get('sensitivity') or {'reason': 'no threshold was fitted'}),
        'reached': _cell(point.get('specificity') or {'reason': 'no threshold was fitted'}),
        'curve': _cell(curve[percent]),
      }
    )
  return rows


def worth(curve: Mapping[str, Any] | None, split: str) -> str:
  """Where the decision curve lies above referring all and none, in a sentence; '' without one."""
  if not curve:
    return ''
  threshold = np.array(curve['threshold'])
  above = np.flatnonzero(np.array(curve['gain_low']) > 0)
  if not len(above):
    return (
      f'At no threshold probability is referring by the model shown to be worth more on {split}'
      ' than referring all or none: the interval of the gain holds 0 everywhere.'
    )
  stretches = np.split(above, np.flatnonzero(np.diff(above) > 1) + 1)
  longest = max(stretches, key=len)
  others = len(above) - len(longest)
  also = f', and at {others} of the others' if others else ''
  return (
    f'Referring by the model is worth more on {split} than referring all or none for threshold'
    f' probabilities from {threshold[longest[0]]:.2f} to {threshold[longest[-1]]:.2f}{also} (95 %'
    ' interval of the gain above 0).'
  )


def _decision_curve(curve: Mapping[str, Any], split: str) -> Plot:
  figure, axes = figures.new_figure(3.6)
  x, prevalence = curve['threshold'], float(curve['prevalence'])
  floor = -max(0.05, 0.2 * prevalence)

  def clipped(values: Iterable[float]) -> list[float]:
    return [max(value, 2 * floor) for value in values]  # refer-all falls to minus 99

  low, high = clipped(curve['low']), clipped(curve['high'])
  axes.fill_between(x, low, high, color=figures.class_colour(0), alpha=0.2, linewidth=0)
  model = clipped(curve['model'])
  axes.plot(x, model, color=figures.class_colour(0), label='by the model')
  look: dict[str, Any] = {'color': figures.class_colour(3), 'linestyle': (0, (5, 1.6))}
  axes.plot(x, clipped(curve['all']), label='all', **look)
  axes.axhline(0, color=figures.INK, linewidth=1.1, linestyle=':', label='none')
  axes.set_ylim(floor, max(1.1 * prevalence, 1.05 * max(high), 0.05))
  axes.set_xlim(0, 1)
  axes.set_xlabel('threshold probability')
  axes.set_ylabel('net benefit')
  figures.add_legend(figure, axes)
  alt = f'Decision curve of {split}. {worth(curve, split)}'
  caption = (
    'True positives an image, less false alarms weighed by the odds of the threshold probability.'
    ' Band: 95 % interval.'
  )
  return Plot(f'decision_curve_{split}', 'Refer by the model, all, or none', alt, figure, caption)
