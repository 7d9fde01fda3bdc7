"""The skin tone of every image of a split, on the image as it was taken."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from data_builders.cleaning.otsu import otsu_mask
from data_builders.errors import UserError
from lesionjax.data import decode
from lesionjax.data.datasets import preprocessing_of
from lesionjax.data.records import Split
from lesionjax.evaluation.skin import ita
from lesionjax.evaluation.skin.ita import Tone


def tones_of(split: Split, num_threads: int | None = None) -> list[Tone]:
  """Measures the skin around the lesion of every image.

  The lesion is where the mask says that the split is seen by: the data set's, or a folder's. A data
  set without masks has Otsu's (`Tone.mask` says which); an image whose lesion was not found there
  is unmeasurable.

  Args:
    split: the records; its preprocessing, view of the lesion and recoloured skin are not applied.
    num_threads: that measure; None is one a core.

  Returns:
    A Tone for every record, in their order. Where the data set was built with a step that
    normalises colour, all say so and none has an angle.

  Raises:
    UserError: a record, its image or its mask is damaged.
  """
  if step := _normalised(split):
    reason = f'the data set was built with {step!r}, which normalises colour'
    return [Tone(None, None, 0, reason)] * len(split)
  kind = mask_kind(split)
  with ThreadPoolExecutor(num_threads or os.cpu_count()) as pool:
    return list(pool.map(lambda row: _measure(split, row, kind), range(len(split))))


def mask_kind(split: Split) -> str:
  """Whose masks say where the lesions of a split are: 'data set', 'folder' or 'otsu'."""
  if split.lesion.masks != 'true':
    return 'folder'
  used = np.unique(split.places[:, 0]).tolist()
  known = all(split.sources[number].mask_features is not None for number in used)
  return 'data set' if known else 'otsu'


def untouched(split: Split, row: int, kind: str) -> tuple[np.ndarray, np.ndarray | None]:
  """Decodes an image as small as its tone is looked at, and its mask.

  Args:
    split: the records.
    row: which.
    kind: of `mask_kind`.

  Returns:
    uint8 [h, w, 3] and uint8 or bool [h, w], or None where no lesion was found.

  Raises:
    UserError: the record, its image or its mask is damaged.
  """
  data = split.encoded(row)
  try:
    image = decode.decode_pixels(data, decode.reduction(data, ita.WORK_PX))
    if kind == 'otsu':
      return image, otsu_mask(image)
    png = split.encoded_mask(row)
    return image, None if png is None else decode.decode_mask(png, image.shape[:2])
  except decode.DecodeError as error:
    raise damaged(split, row, error) from error


def damaged(split: Split, row: int, error: Exception) -> UserError:
  """What to raise where an image of a split, or its mask, cannot be decoded."""
  return UserError(
    f'Image {str(split.image_ids[row])!r} of {split.name} ({split.split}) or its mask is damaged:'
    f' {error}; build the data set again, or write the masks again with --mode=masks.'
  )


def _measure(split: Split, row: int, kind: str) -> Tone:
  return ita.measure(*untouched(split, row, kind))._replace(mask=kind)


def _normalised(split: Split) -> str:
  """The step the data set was built with that normalises colour; '' where there is none."""
  found = [ita.normalised_by(preprocessing_of(source.name).steps) for source in split.sources]
  return next(filter(None, found), '')
