"""Generated images to numbers: features of real and generated ones. NumPy and SciPy only."""

from lesionjax.evaluation.generation.distances import fid, fid_interval, kid, kid_interval
from lesionjax.evaluation.generation.neighbours import Memorised, memorised, precision_recall
from lesionjax.evaluation.generation.recognised import mean_recall

__all__ = [
  'Memorised',
  'fid',
  'fid_interval',
  'kid',
  'kid_interval',
  'mean_recall',
  'memorised',
  'precision_recall',
]
