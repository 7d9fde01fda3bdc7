"""Operating points: thresholds fitted on one split, measured unchanged on another. NumPy only."""

from lesionjax.evaluation.operating.net_benefit import net_benefit
from lesionjax.evaluation.operating.positive import Positive, positive_of
from lesionjax.evaluation.operating.rates import Sample, measure
from lesionjax.evaluation.operating.roc import SPECIFICITIES, sensitivity_at
from lesionjax.evaluation.operating.thresholds import POINTS, Counts, fit, problem

__all__ = [
  'POINTS',
  'SPECIFICITIES',
  'Counts',
  'Positive',
  'Sample',
  'fit',
  'measure',
  'net_benefit',
  'positive_of',
  'problem',
  'sensitivity_at',
]
