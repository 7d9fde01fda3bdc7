"""One split of one or several prepared data sets: columns in memory, images decoded on demand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_builders import identity
from data_builders.cleaning.pipeline import Pipeline
from data_builders.errors import UserError
from lesionjax.data.columns import one_line
from lesionjax.data.decode import DecodeError, decode_image


@dataclasses.dataclass(frozen=True)
class Source:
  """The records of one data set.

  Attributes:
    name: data set and configuration, e.g. 'ham10000/grouped'.
    records: random access to the serialised records.
    image_features: parses the encoded image out of a record.
  """

  name: str
  records: Sequence[bytes]
  image_features: Any


@dataclasses.dataclass(frozen=True)
class Split:
  """One split of a prepared data set, or of several that are pooled.

  Attributes:
    name: data set and configuration, e.g. 'ham10000/grouped'; of several, joined by '+'.
    split: 'train', 'validation' or 'test'.
    class_names: [K] names in label order.
    labels: int32 [N]; -1 is an image of none of the classes, in official test sets only.
    image_ids: str [N], as the archive names them.
    group_ids: str [N], the lesion or patient.
    folds: int32 [N], 0..9, or -1 in official test sets.
    sources: where the records lie.
    places: int64 [N, 2], source and record within it.
    preprocessing: what is done to every image before it is resized.
  """

  name: str
  split: str
  class_names: tuple[str, ...]
  labels: np.ndarray
  image_ids: np.ndarray
  group_ids: np.ndarray
  folds: np.ndarray
  sources: tuple[Source, ...]
  places: np.ndarray
  preprocessing: Pipeline = dataclasses.field(default_factory=Pipeline)

  def __len__(self) -> int:
    return len(self.labels)

  @property
  def canonical_ids(self) -> np.ndarray:
    """Str [N], the ids that are the same in all data sets."""
    return np.array([identity.canonical_id(name) for name in self.image_ids.tolist()], np.str_)

  def take(self, rows: np.ndarray) -> Split:
    """Returns the split of some of the rows (indices or flags), in their order."""
    columns = ('labels', 'image_ids', 'group_ids', 'folds', 'places')
    return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in columns})

  def encoded(self, index: int) -> bytes:
    """The image file of record `index`, as the data set holds it."""
    decoders = {'image': tfds.decode.SkipDecoding()}
    number, row = self.places[index].tolist()
    source = self.sources[number]
    try:
      record = source.records[row]
      return source.image_features.deserialize_example_np(record, decoders=decoders)['image']
    except Exception as error:  # whatever the file format's reader raises
      raise self._corrupt(index, f'the record cannot be read ({one_line(error)})') from error

  def decode(self, index: int, size_px: int) -> np.ndarray:
    """Record `index` as uint8 [size_px, size_px, 3], RGB, preprocessed.

    Raises:
      UserError: when the record or its image is damaged; names the image.
    """
    try:
      return decode_image(self.encoded(index), size_px, self.preprocessing)
    except DecodeError as error:
      raise self._corrupt(index, str(error)) from error

  def _corrupt(self, index: int, reason: str) -> UserError:
    number, row = self.places[index].tolist()
    return UserError(
      f'Image {str(self.image_ids[index])!r} of {self.sources[number].name} ({self.split}, record '
      f'{row}) is damaged: {reason}; delete the prepared data set and build it again from the '
      'original files.'
    )
