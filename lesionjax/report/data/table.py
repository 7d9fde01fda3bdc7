"""All that a prepared data set says of its images, without their pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_builders.cleaning import encoded
from data_builders.errors import UserError
from lesionjax.data import datasets
from lesionjax.data.columns import one_line, subset

TEXTS = (
  'image_id',
  'group_id',
  'lesion_id',
  'patient_id',
  'sex',
  'site',
  'source',
  'confirmation',
  'diagnosis',
)
_SPLITS = ('train', 'validation', 'test')
_READ_AHEAD = 64  # records, with their images, that are in memory at once


@dataclasses.dataclass(frozen=True)
class DataTable:
  """One row an image, of all splits.

  Attributes:
    name: data set and configuration, e.g. 'ham10000/grouped'.
    facts: version, description, licence, citation, homepage and preprocessing, '' where not told.
    class_names: [K] in label order; none where the data set has no labels.
    split: str [N].
    index: int [N], place in its split.
    label: int [N], -1 where there is none.
    texts: those of `TEXTS` that the data set has, each str [N], '' where missing.
    age: float [N] years, nan where missing; None where the data set has none.
    size_px: int [N, 2], width and height of the image as stored; 0 where its header is not read.
    is_jpeg: bool [N].
    has_mask: bool [N]; None where the data set has no masks.
    missing: ids of images that the tables name and the archives lacked.
  """

  name: str
  facts: Mapping[str, str]
  class_names: tuple[str, ...]
  split: np.ndarray
  index: np.ndarray
  label: np.ndarray
  texts: Mapping[str, np.ndarray]
  age: np.ndarray | None
  size_px: np.ndarray
  is_jpeg: np.ndarray
  has_mask: np.ndarray | None = None
  missing: tuple[str, ...] = ()

  def __len__(self) -> int:
    return len(self.split)

  @property
  def base_name(self) -> str:
    """The data set without its configuration."""
    return self.name.partition('/')[0]

  @property
  def splits(self) -> list[str]:
    """Names of the splits, in the order of use."""
    found = list(dict.fromkeys(self.split.tolist()))
    return [name for name in _SPLITS if name in found] + sorted(set(found) - set(_SPLITS))

  @property
  def ours(self) -> np.ndarray:
    """Bool [N]: not in an official test or validation set, whose labels serve to score only."""
    return ~np.char.startswith(self.split, 'official_')

  def where(self, rows: np.ndarray) -> DataTable:
    """The rows of an index or a mask."""
    return dataclasses.replace(
      self,
      texts={key: column[rows] for key, column in self.texts.items()},
      age=None if self.age is None else self.age[rows],
      has_mask=None if self.has_mask is None else self.has_mask[rows],
      **{
        key: getattr(self, key)[rows] for key in ('split', 'index', 'label', 'size_px', 'is_jpeg')
      },
    )


class Prepared:
  """A prepared data set on disk: its table, read once, and encoded pixels on demand."""

  def __init__(self, name: str, data_dir: str | None = None) -> None:
    """Opens a data set.

    Args:
      name: data set, with its configuration after a slash where not the default.
      data_dir: where it was prepared; None is TFDS's default.

    Raises:
      UserError: it is not there, or is none of the project's.
    """
    self._builder = datasets.open_builder(name, data_dir)
    self._features = self._builder.info.features
    self.name: str = self._builder.info.full_name.rsplit('/', 1)[0]
    for key in ('image', 'image_id', 'group_id'):
      if key not in self._features:
        raise UserError(
          f'Data set {self.name!r} has no feature {key!r}; this page is made of data sets that the '
          "project's builders wrote."
        )
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    self._sources: dict[str, Any] = {
      split: self._builder.as_data_source(split, deserialize_method=raw)
      for split in self._builder.info.splits
    }
    if not any(map(len, self._sources.values())):
      raise UserError(f'Data set {self.name!r} holds no image; build it again.')

  def read_table(self) -> DataTable:
    """Reads all records once, a few at a time.

    Raises:
      UserError: a record cannot be read.
    """
    info = self._builder.info
    names = self._features['label'].names if 'label' in self._features else ()
    rows = [row for split in self._sources for row in self._rows(split)]
    # The lists go as they become columns.
    columns: dict[str, list[Any]] = {key: [row[key] for row in rows] for key in rows[0]}
    config = self._builder.builder_config
    return DataTable(
      name=self.name,
      facts={
        'version': str(info.version),
        'description': info.description.strip(),
        'config_description': ' '.join((config.description or '').split()) if config else '',
        'licence': info.redistribution_info.license or '',
        'citation': info.citation,
        'homepage': info.homepage,
        'preprocessing': getattr(config, 'preprocessing', ''),
      },
      class_names=tuple(names),
      split=np.array(columns['split'], np.str_),
      index=np.array(columns['index'], np.int64),
      label=np.array(columns['label'], np.int32),
      texts={key: np.array(columns[key], np.str_) for key in TEXTS if key in columns},
      age=np.array(columns['age'], np.float64) if 'age' in columns else None,
      size_px=np.array(columns['size_px'], np.int32),
      is_jpeg=np.array(columns['is_jpeg'], bool),
      has_mask=np.array(columns['mask'], bool) if 'mask' in columns else None,
      missing=tuple((info.metadata or {}).get('missing', ())),
    )

  def pixels(self, split: str, index: int, keys: Sequence[str]) -> dict[str, bytes]:
    """Encoded images of one record, those of `keys` that the data set has. Thread-safe."""
    keys = [key for key in keys if key in self._features]
    return self._parse(subset(self._features, keys), split, self._sources[split][int(index)])

  def _rows(self, split: str) -> Iterator[dict[str, Any]]:
    """The small features of a split's records, and what the image's header says."""
    wanted = ('image', 'mask', 'label', 'age', *TEXTS)
    small = subset(self._features, [key for key in wanted if key in self._features])
    names = self._features['diagnosis'].names if 'diagnosis' in self._features else ()
    source = self._sources[split]
    for start in range(0, len(source), _READ_AHEAD):
      block = range(start, min(start + _READ_AHEAD, len(source)))
      try:
        serialised = source.__getitems__(list(block))
      except Exception as error:  # whatever the file format's reader raises
        raise self._unreadable(split, start, error) from error
      for index, record in zip(block, serialised, strict=True):
        row = self._parse(small, split, record, index)
        image, mask = row.pop('image'), row.pop('mask', None)
        height, width = encoded.jpeg_size(image) or (0, 0)
        known = {
          key: value.decode() if isinstance(value, bytes) else value for key, value in row.items()
        }
        if names:
          known['diagnosis'] = names[known['diagnosis']]
        if mask is not None:
          known['mask'] = len(mask) > 0
        known |= {'split': split, 'index': index, 'size_px': (width, height)}
        yield {'label': -1} | known | {'is_jpeg': image[:2] == b'\xff\xd8'}

  def _parse(self, features: Any, split: str, record: bytes, index: int = -1) -> dict[str, Any]:
    decoders = {
      key: tfds.decode.SkipDecoding()
      for key, feature in features.items()
      if isinstance(feature, tfds.features.Image)
    }
    try:
      return features.deserialize_example_np(record, decoders=decoders)
    except Exception as error:  # whatever the file format's reader raises
      raise self._unreadable(split, index, error) from error

  def _unreadable(self, split: str, index: int, error: Exception) -> UserError:
    return UserError(
      f'Record {index} and what follows in split {split!r} of {self.name} cannot be read '
      f'({one_line(error)}); delete the prepared data set and build it again.'
    )
