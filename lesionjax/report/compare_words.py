"""The words of a comparison: names of metrics, verdicts as sentences, cautions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lesionjax.evaluation.comparison import BETTER, UNDECIDED, WORSE
from lesionjax.report import tables
from lesionjax.report.run_files import number

_TITLES = {
  'balanced_accuracy': 'Balanced accuracy',
  'macro_auc': 'AUC',
  'accuracy': 'Accuracy',
  'macro_f1': 'Macro F1',
  'rare_recall': 'Recall of the rarest classes',
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


def metrics_of(found: Mapping[str, Any]) -> list[str]:
  """Returns the metrics that the table of runs shows, in its order.

  Args:
    found: what compare.json holds.
  """
  if found['task'] == 'segment':
    return list(_MASKS)
  names = ['balanced_accuracy', 'macro_auc', 'accuracy']
  names += [f'recall/{name}' for name in found['class_names']]
  names += ['rare_recall'] if found.get('rare') else []
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


def title(found: Mapping[str, Any]) -> str:
  """Returns how many runs are better and worse than the reference, in the first metric."""
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


def facts(found: Mapping[str, Any]) -> list[str]:
  """Returns what was compared: data, split, number of runs."""
  count, seeds = len(found['runs']), len(found.get('seeds', ()))
  runs = f'{count} ways of training, {seeds} seeds each' if seeds > 1 else f'{count} runs'
  told = [found['data'], f'{found["split"]} split', runs]
  return [fact for fact in told if fact]


def sentences(found: Mapping[str, Any]) -> list[str]:
  """What the intervals allow to say, in plain words."""
  reference = found['reference']
  support = ''
  if found['task'] == 'classify':
    counted = zip(found['class_names'], found['support'], strict=True)
    support = f' ({", ".join(f"{name} {count:,}" for name, count in counted)})'
  told = [
    *_finding(found),
    f'All runs were scored on the same {found["images"]:,} images of {found["groups"]:,} lesions or'
    f' patients{support}.',
  ]
  for metric in (*found['compared'], *(['rare_recall'] if found.get('rare') else [])):
    by_verdict = {
      verdict: [
        row['name']
        for row in _by_gain(found, metric)
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
    told.append(f'{metric_name(metric, found)} against {reference}: {"; ".join(parts)}.')
  if found.get('rare'):
    told.append(
      f'The rarest classes, {", ".join(found["rare"])}, are the third with the fewest training'
      ' images; their recall is the mean over them.'
    )
  if found['left_out']:
    why = (
      'Not finished, or of a seed that others lack, and'
      if found.get('seeds')
      else 'Not finished and'
    )
    told.append(f'{why} left out: {", ".join(found["left_out"])}.')
  return told


def _by_gain(found: Mapping[str, Any], metric: str) -> list[Mapping[str, Any]]:
  """The runs beside the reference, the largest difference first; what is undefined last."""

  def gain(row: Mapping[str, Any]) -> float:
    value = number(row['differences'][metric]['value'])
    return math.inf if math.isnan(value) else -value

  return sorted(found['differences'], key=gain)


def _finding(found: Mapping[str, Any]) -> list[str]:
  """Which run gains most in the first metric, and what that costs in the others."""
  first, *others = found['compared']
  best = _by_gain(found, first)[0]
  entry = best['differences'][first]
  if entry['verdict'] != BETTER:
    return []
  told = (
    f'{best["name"]} gains most: {metric_name(first, found)} {_signed(entry)} against'
    f' {found["reference"]}'
  )
  by_verdict = {
    verdict: [
      f'{metric_name(metric, found)} {_signed(best["differences"][metric])}'
      for metric in others
      if best['differences'][metric]['verdict'] == verdict
    ]
    for verdict in (BETTER, WORSE)
  }
  if by_verdict[BETTER]:
    told += f'; it also gains {", ".join(by_verdict[BETTER])}'
  if by_verdict[WORSE]:
    told += f'; it costs {", ".join(by_verdict[WORSE])}'
  return [f'{told}.']


def _signed(entry: Mapping[str, Any]) -> str:
  """'+0.216 (+0.171 to +0.262)'."""
  return f'{entry["value"]:+.3f} ({entry["low"]:+.3f} to {entry["high"]:+.3f})'


def cautions(found: Mapping[str, Any]) -> list[str]:
  """What must be thought of before a verdict is believed."""
  runs, metrics, recalls = (
    len(found['differences']), len(found['compared']), len(found.get('recalls', ()))
  )  # fmt: skip
  seeds = found.get('seeds', ())
  once = (
    'Intervals tell how much depends on which lesions or patients are in the test set. Each run was'
    ' trained once: how much another seed would change is not in them.'
  )
  several = (
    f'Numbers are means of {len(seeds)} trainings (seeds {", ".join(map(str, seeds))}); intervals'
    ' draw lesions or patients and seeds together, and with so few seeds say somewhat too little of'
    ' what another one would change.'
  )
  count = runs * (metrics + recalls)
  kinds = f'{metrics} metrics and {recalls} recalls' if recalls else f'{metrics} metrics'
  told = [
    f'These are {count} comparisons ({runs} {"run" if runs == 1 else "runs"}, {kinds}),'
    f' uncorrected: if nothing'
    f' differed, each would be called different in 5 % of cases, {0.05 * count:.1f} of them here.',
    several if len(seeds) > 1 else once,
    'No difference shown does not mean equal: the interval says how large a difference may be.',
  ]
  if found['task'] == 'segment':
    told.append(
      'Each run is measured at the size of its own masks, and McNemar counts images with a Jaccard'
      ' of at least 0.65 as right.'
    )
  return told


def masks_cost(row: Mapping[str, Any]) -> str:
  """Returns what the masks of a run took; '-' where it looks at none, or at given ones."""
  cost = number(row.get('masks_ms'))
  return '-' if math.isnan(cost) else f'{cost:.1f} ms an image'


def p_value(test: Mapping[str, Any] | None) -> str:
  """Returns the p-value of McNemar's test to three decimals; '-' where there was none."""
  if test is None:
    return '-'
  return '< 0.001' if test['p'] < 0.001 else f'{test["p"]:.3f}'
