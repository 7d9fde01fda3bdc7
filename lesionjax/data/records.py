"""One split of one or several prepared data sets: columns in memory, images decoded on demand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_builders import identity
from data_builders.cleaning import geometry
from data_builders.cleaning.pipeline import Pipeline
from data_builders.errors import UserError
from lesionjax.data import background, decode
from lesionjax.data.columns import one_line
from lesionjax.data.crop import CropBox
from lesionjax.data.lesion import Lesion
from lesionjax.data.masks import open_folder


@dataclasses.dataclass(frozen=True)
class Source:
  """The records of one data set.

  Attributes:
    name: data set and configuration, e.g. 'ham10000/grouped'.
    records: random access to the serialised records.
    image_features: parses the encoded image out of a record.
    mask_features: parses the encoded lesion mask; None where the data set has none.
    small_features: parses all that is neither image nor mask; None where nobody said.
  """

  name: str
  records: Sequence[bytes]
  image_features: Any
  mask_features: Any = None
  small_features: Any = None


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
    lesion: what of an image is looked at, and whose masks say where the lesion is.
    with_masks: whether the mask comes with the image, as a fourth channel.
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
  lesion: Lesion = dataclasses.field(default_factory=Lesion)
  with_masks: bool = False

  def __len__(self) -> int:
    return len(self.labels)

  @property
  def canonical_ids(self) -> np.ndarray:
    """Str [N], the ids that are the same in all data sets."""
    return np.array([identity.canonical_id(name) for name in self.image_ids.tolist()], np.str_)

  @property
  def channels(self) -> int:
    """Of a decoded image: R, G, B, and the mask where it comes along."""
    return 4 if self.with_masks else 3

  def take(self, rows: np.ndarray) -> Split:
    """Returns the split of some of the rows (indices or flags), in their order."""
    columns = ('labels', 'image_ids', 'group_ids', 'folds', 'places')
    return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in columns})

  def encoded(self, index: int) -> bytes:
    """The image file of record `index`, as the data set holds it."""
    return self._feature(index, 'image', self._source(index).image_features)

  def encoded_mask(self, index: int) -> bytes | None:
    """The mask of record `index` as a PNG file; None where no lesion was found.

    Raises:
      UserError: when the data set has no masks, or the folder of masks none of this image.
    """
    if self.lesion.masks != 'true':
      return open_folder(self.lesion.masks).read(str(self.image_ids[index]))
    source = self._source(index)
    if source.mask_features is None:
      raise self._without_masks(source)
    return self._feature(index, 'mask', source.mask_features)

  def check_masks(self) -> None:
    """Refuses images whose masks are needed and not there; decodes nothing.

    Raises:
      UserError: naming the data set, or folder and image.
    """
    if not self.with_masks and not self.lesion.needs_mask:
      return
    if self.lesion.masks != 'true':
      told = f'{self.name} ({self.split})'
      open_folder(self.lesion.masks).check(self.image_ids.tolist(), told)
      return
    for number in np.unique(self.places[:, 0]).tolist():
      if self.sources[number].mask_features is None:
        raise self._without_masks(self.sources[number])

  def decode(self, index: int, size_px: decode.Size) -> np.ndarray:
    """Record `index` as uint8 [height, width, channels]: preprocessed RGB, and the mask (0, 1).

    Where no lesion was found, the image is seen whole, in its own colours, and the mask is all 0.

    Raises:
      UserError: when the record, its image or its mask is damaged; names the image.
    """
    data = self.encoded(index)
    needed = self.with_masks or self.lesion.needs_mask
    png = self.encoded_mask(index) if needed else None
    try:
      if not needed:
        return decode.decode_image(data, size_px, self.preprocessing)
      # A crop is enlarged afterwards: it is cut out of the image in full.
      whole = bool(self.preprocessing.steps) or self.lesion.looks
      image = decode.decode_pixels(data, 1 if whole else decode.reduction(data, size_px))
      mask = self._decoded_mask(index, png, image.shape[:2])
      if self.lesion.recolours:
        image = background.recoloured(image, mask, str(self.image_ids[index]))
      image, mask = self.lesion.apply(*self.preprocessing.apply(image, mask))
      return self._fit(image, mask, size_px)
    except decode.DecodeError as error:
      raise self._corrupt(index, str(error)) from error

  def has_lesion(self, index: int) -> bool:
    """Whether a usable lesion is known in record `index`; without one it is seen whole.

    Raises:
      UserError: as `lesion_box`.
    """
    return self.lesion_box(index) is not None

  def lesion_box(self, index: int) -> CropBox | None:
    """Where the lesion lies in record `index` after preprocessing, as `decode` sees it.

    Raises:
      UserError: as `encoded_mask`, or when record, image or mask is damaged.
    """
    png, data = self.encoded_mask(index), self.encoded(index)
    if png is None:
      return None
    size = None if self.preprocessing.steps else decode.jpeg_size(data)
    try:
      # Pixels are needed for preprocessing alone.
      image = decode.decode_pixels(data) if size is None else np.empty((*size, 0), np.uint8)
    except decode.DecodeError as error:
      raise self._corrupt(index, str(error)) from error
    mask = self._decoded_mask(index, png, image.shape[:2])
    if self.preprocessing.steps:
      _, mask = self.preprocessing.apply(image, mask)
    return None if mask is None else self.lesion.box(mask)

  def _decoded_mask(
    self, index: int, png: bytes | None, shape: tuple[int, int]
  ) -> np.ndarray | None:
    """The mask at the size of its image; what is wrong with it is told where it came from."""
    try:
      return None if png is None else decode.decode_mask(png, shape)
    except decode.DecodeError as error:
      if self.lesion.masks != 'true':
        image_id = str(self.image_ids[index])
        raise open_folder(self.lesion.masks).damaged(image_id, str(error)) from error
      raise self._corrupt(index, f'its mask {error}') from error

  def _fit(self, image: np.ndarray, mask: np.ndarray | None, size_px: decode.Size) -> np.ndarray:
    height, width = decode.sides(size_px)
    image = geometry.resize(image, width, height)
    if not self.with_masks:
      return image
    if mask is None:
      mask = np.zeros((height, width), np.uint8)
    return np.dstack([image, geometry.resize_mask(mask, width, height) & 1])

  def _source(self, index: int) -> Source:
    return self.sources[int(self.places[index, 0])]

  def _feature(self, index: int, name: str, features: Any) -> bytes:
    decoders = {name: tfds.decode.SkipDecoding()}
    row = int(self.places[index, 1])
    try:
      record = self._source(index).records[row]
      return features.deserialize_example_np(record, decoders=decoders)[name]
    except Exception as error:  # whatever the file format's reader raises
      raise self._corrupt(index, f'the record cannot be read ({one_line(error)})') from error

  def _without_masks(self, source: Source) -> UserError:
    advice = (
      'name a folder of predicted ones (see --mode=masks) in config.data.lesion_masks, or set'
      " config.data.lesion and config.data.background to 'none'"
    )
    if not self.lesion.needs_mask and self.lesion.mode == 'none':  # a segmenter, which learns them
      advice = 'name one that has in config.data.name, such as isic2018_task1 or ham10000'
    return UserError(f'Data set {source.name} has no lesion masks: {advice}.')

  def _corrupt(self, index: int, reason: str) -> UserError:
    number, row = self.places[index].tolist()
    return UserError(
      f'Image {str(self.image_ids[index])!r} of {self.sources[number].name} ({self.split}, record '
      f'{row}) is damaged: {reason}; delete the prepared data set and build it again from the '
      'original files.'
    )
