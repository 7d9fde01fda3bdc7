"""Where the lesion lies in what a network sees of an image, and on what knowledge."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from data_builders.cleaning.otsu import otsu_mask
from lesionjax.data.decode import Size
from lesionjax.data.records import Split

Read = Callable[[int, Size], tuple[np.ndarray, np.ndarray]]
"""(record, height and width) -> image uint8 [H, W, 3] as it is seen, lesion bool [H, W]."""

OTSU = "Otsu's threshold"


def lesions_of(split: Split) -> tuple[Read, str]:
  """Finds out whose lesion masks there are.

  Masks go through the same preprocessing, crop and resizing as the image. A view that needs
  masks has them, and these are meant; else it is those of the data set; a data set without any gets
  Otsu's, of the picture as it is seen.

  Args:
    split: the records, with the view that the network has of them.

  Returns:
    A function that reads an image with its mask, empty where no lesion was found, and where the
    masks come from, for people.
  """
  view = split.lesion
  own = all(source.mask_features is not None for source in split.sources)
  if not view.needs_mask and not own:
    return _by_threshold(split), OTSU
  if not view.needs_mask:
    split = dataclasses.replace(split, lesion=dataclasses.replace(view, masks='true'))
  masked = dataclasses.replace(split, with_masks=True)

  def read(index: int, size_px: Size) -> tuple[np.ndarray, np.ndarray]:
    seen = masked.decode(index, size_px)
    return np.ascontiguousarray(seen[..., :3]), seen[..., 3] > 0

  told = 'the data set' if masked.lesion.masks == 'true' else 'the masks that the network was given'
  return read, told


def _by_threshold(split: Split) -> Read:
  def read(index: int, size_px: Size) -> tuple[np.ndarray, np.ndarray]:
    image = split.decode(index, size_px)
    return image, otsu_mask(image)

  return read
