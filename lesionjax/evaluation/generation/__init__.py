"""Generated images to numbers: features of real and generated ones. NumPy and SciPy only."""

from lesionjax.evaluation.generation.distances import fid, kid
from lesionjax.evaluation.generation.neighbours import Memorised, memorised, precision_recall

__all__ = ['Memorised', 'fid', 'kid', 'memorised', 'precision_recall']
