"""Predicted lesion masks to numbers. NumPy, SciPy and OpenCV only."""

from lesionjax.evaluation.segmentation.metrics import NAMES, as_binary, image_metrics, measure
from lesionjax.evaluation.segmentation.postprocess import Postprocess, fit
from lesionjax.evaluation.segmentation.summarise import paired_differences, summarise

__all__ = [
  'NAMES',
  'Postprocess',
  'as_binary',
  'fit',
  'image_metrics',
  'measure',
  'paired_differences',
  'summarise',
]
