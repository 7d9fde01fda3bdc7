"""Where the lesion of a photograph is: by a trained segmenter, or by Otsu's threshold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data_builders.cleaning import geometry
from data_builders.cleaning.otsu import otsu_mask
from lesionjax.masking.mask_writing import OTSU_PX
from lesionjax.runs.predictor import Classifier, Segmenter

FindLesion = Callable[[np.ndarray], np.ndarray]
"""uint8 [H, W, 3] RGB -> bool [H, W]."""


def choose(segmenter: str, classifier: Classifier) -> tuple[FindLesion, str]:
  """Chooses who says where the lesion is.

  Args:
    segmenter: directory of a segmenter's run; '' takes the first stage of the classifier, where it
      has one, else Otsu's threshold.
    classifier: the run.

  Returns:
    The function, and its name in words.

  Raises:
    UserError: the directory is no segmenter's.
  """
  if segmenter:
    return _by(Segmenter(segmenter)), f'the segmenter {segmenter}'
  if classifier.segmenter is not None:
    return _by(classifier.segmenter), "the run's own first stage"
  return by_otsu, "Otsu's threshold"


def by_otsu(image: np.ndarray) -> np.ndarray:
  """Otsu's threshold of the image at 256 px, as `--mode=masks` takes it; bool [H, W]."""
  small = otsu_mask(geometry.resize(image, OTSU_PX, OTSU_PX))
  plane = small.astype(np.uint8) * np.uint8(255)
  return geometry.resize_mask(plane, image.shape[1], image.shape[0]) > 0


def _by(segmenter: Segmenter) -> FindLesion:
  return lambda image: segmenter.predict([image], batch_size=1).masks[0]
