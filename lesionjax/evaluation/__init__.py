"""Predictions to numbers: metrics, intervals, trivial baselines. NumPy and scikit-learn only."""

from lesionjax.evaluation.baseline import colour_baseline, colour_statistics
from lesionjax.evaluation.intervals import evaluate
from lesionjax.evaluation.metrics import per_group, point_metrics
from lesionjax.evaluation.selection import select_examples

__all__ = [
  'colour_baseline',
  'colour_statistics',
  'evaluate',
  'per_group',
  'point_metrics',
  'select_examples',
]
