"""Images as a network sees them, with the regions that its relevance may lie on."""

from __future__ import annotations

import dataclasses
import math
import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from lesionjax.data.records import Split
from lesionjax.evaluation.relevance import artefacts
from lesionjax.trust.lesions_of_split import Read

SHOWN_PX = 160  # short side of a picture on the page


@dataclasses.dataclass(frozen=True)
class Looked:
  """M images.

  Attributes:
    rows: int [M], of the split.
    pixels: uint8 [M, H, W, 3], exactly what the network gets.
    lesion: float32 [M, H, W], how much of each pixel is lesion.
    known: bool [M], whether a lesion was found.
    artefacts: float32 [M, H, W] by kind, how much of each pixel is frame, ruler, hair.
    pictures: uint8 [M, h, w, 3], the same part of the photograph, sharp enough for people.
    outlines: bool [M, h, w], the lesion on the pictures.
  """

  rows: np.ndarray
  pixels: np.ndarray
  lesion: np.ndarray
  known: np.ndarray
  artefacts: dict[str, np.ndarray]
  pictures: np.ndarray
  outlines: np.ndarray

  def take(self, places: np.ndarray) -> Looked:
    """The images at some places, in their order."""
    taken = {
      field.name: getattr(self, field.name)[places]
      for field in dataclasses.fields(self)
      if field.name != 'artefacts'
    }
    return Looked(**taken, artefacts={name: each[places] for name, each in self.artefacts.items()})


def look(read: Read, split: Split, rows: np.ndarray, size: tuple[int, int]) -> Looked:
  """Reads images, and finds lesion and artefacts where they are large enough to be found.

  Args:
    read: from `lesions_of`.
    split: the records, with the view that the network has of them.
    rows: int [M], which.
    size: height and width of the network's input.
  """

  def one(row: int) -> tuple[np.ndarray, ...]:
    """The fields of `Looked` for one record: pixels, lesion, artefacts, picture, outline."""
    times = max(1, math.ceil(artefacts.LOOK_PX / min(size)))
    image, mask = read(row, (size[0] * times, size[1] * times))
    kinds = artefacts.find_artefacts(image)
    regions = [artefacts.coverage(region, size) for region in (mask, *kinds.values())]
    shrink = SHOWN_PX / min(size)
    shown = round(size[1] * shrink), round(size[0] * shrink)
    return (
      split.decode(row, size),
      *regions,
      cv2.resize(image, shown, interpolation=cv2.INTER_AREA),
      cv2.resize(mask.astype(np.float32), shown, interpolation=cv2.INTER_AREA) >= 0.5,
    )

  with ThreadPoolExecutor(os.cpu_count()) as pool:
    found = list(pool.map(one, rows.tolist()))
  pixels, lesion, *kinds, pictures, outlines = (np.stack(part) for part in zip(*found, strict=True))
  named: dict[str, np.ndarray] = dict(zip(artefacts.KINDS, kinds, strict=True))
  known = np.asarray(lesion.any((1, 2)))
  return Looked(rows, pixels, lesion, known, named, pictures, outlines)
