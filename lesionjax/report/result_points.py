"""Metrics of a run at one of its operating points, for a row of docs/results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_builders.errors import UserError

# Metrics that no threshold moves: what the scores are worth by themselves.
_KEPT = (
  'auc', 'macro_auc', 'average_precision', 'log_loss', 'colour_baseline_auc', 'support',
  'majority_accuracy', 'lesion_missing', 'lesion_at_border',
)  # fmt: skip
_RATES = ('value', 'low', 'high', 'n')


def at_point(
  metrics: Mapping[str, Any],
  thresholds: Mapping[str, Any],
  point: str,
  split: str,
  protocol: str,
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Replaces the metrics that a threshold moves by those of an operating point.

  The published protocol takes the threshold that was tuned on test, as the publications did, the
  rigorous one that which was fitted on validation.

  Args:
    metrics: content of metrics.json of a run of two classes.
    thresholds: content of its thresholds.json.
    point: such as 'best_f1'.
    split: of metrics.json.
    protocol: 'published' or 'rigorous'.

  Returns:
    {split: metrics} in the names of metrics.json, and what was taken: name, threshold, the split it
    was fitted on, tuned_on_test.

  Raises:
    UserError: the run has no such point, or is not one of two classes.
  """
  found, taken = _point(thresholds, point, split, protocol)
  positive, negative = _two_classes(metrics[split], thresholds)
  kept = {name: entry for name, entry in metrics[split].items() if name.partition('/')[0] in _KEPT}
  names = {
    'accuracy': ('accuracy',),
    'balanced_accuracy': ('balanced_accuracy', 'macro_recall'),
    'sensitivity': ('sensitivity', f'recall/{positive}'),
    'specificity': ('specificity', f'recall/{negative}'),
    'ppv': (f'precision/{positive}',),
    'npv': (f'precision/{negative}',),
    'f1': (f'f1/{positive}',),
    'referred': ('referred',),
  }
  moved = {
    name: {key: found[kind][key] for key in _RATES} for kind, all in names.items() for name in all
  }
  return {split: kept | moved}, taken | {'threshold': found['threshold']}


def _point(
  thresholds: Mapping[str, Any], point: str, split: str, protocol: str
) -> tuple[Mapping[str, Any], dict[str, Any]]:
  """What was measured at a point, and where its threshold comes from."""
  published = protocol == 'published'
  source = thresholds.get('tuned_on_test') if published else thresholds.get('splits', {}).get(split)
  if source is None or (published and source['on'] != split):
    raise UserError(
      f'thresholds.json has nothing of the split {split} under the {protocol} protocol: evaluate'
      ' the run again with --mode=evaluate, or name another --split.'
    )
  points = source['points']
  if point not in points:
    why = source.get('problem') or thresholds['fitted'].get('problem') or ''
    allowed = f'it has {", ".join(points)}' if points else f'it has none ({why.rstrip(".")})'
    raise UserError(f'--point={point} is not a point of thresholds.json: {allowed}.')
  fitted_on = source['on'] if published else thresholds['fitted']['on']
  taken = {'name': point, 'fitted_on': fitted_on, 'tuned_on_test': published}
  return points[point], taken


def _two_classes(metrics: Mapping[str, Any], thresholds: Mapping[str, Any]) -> tuple[str, str]:
  """The positive and the other class."""
  names = [name.partition('/')[2] for name in metrics if name.startswith('support/')]
  positive = thresholds['positive']['classes']
  if len(names) != 2 or len(positive) != 1 or positive[0] not in names:
    raise UserError(
      f'--point goes with runs of two classes, of which one is positive: this one has'
      f' {", ".join(names) or "none"}, and positive are {", ".join(positive) or "none"}.'
    )
  return positive[0], next(name for name in names if name != positive[0])
