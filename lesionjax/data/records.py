"""Prepared data sets on disk: columns in memory, images decoded on demand."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import constants

import data_builders  # noqa: F401  registers the project's builders with TFDS
from data_builders.errors import UserError
from lesionjax.data.columns import COLUMNS, one_line, read_columns, subset
from lesionjax.data.decode import DecodeError, decode_image


@dataclasses.dataclass(frozen=True)
class Split:
  """One split of a prepared data set.

  Attributes:
    name: data set and configuration, e.g. 'ham10000/grouped'.
    split: 'train', 'validation' or 'test'.
    class_names: [K] names in label order.
    labels: int32 [N].
    image_ids: str [N].
    group_ids: str [N], the lesion or patient.
    folds: int32 [N], 0..9.
    source: random access to the N serialised records.
    image_features: parses the encoded image out of a record.
  """

  name: str
  split: str
  class_names: tuple[str, ...]
  labels: np.ndarray
  image_ids: np.ndarray
  group_ids: np.ndarray
  folds: np.ndarray
  source: Sequence[bytes]
  image_features: Any

  def __len__(self) -> int:
    return len(self.labels)

  def encoded(self, index: int) -> bytes:
    """The image file of record `index`, as the archive holds it."""
    decoders = {'image': tfds.decode.SkipDecoding()}
    try:
      record = self.source[int(index)]
      return self.image_features.deserialize_example_np(record, decoders=decoders)['image']
    except Exception as error:  # whatever the file format's reader raises
      raise self._corrupt(index, f'the record cannot be read ({one_line(error)})') from error

  def decode(self, index: int, size_px: int) -> np.ndarray:
    """Record `index` as uint8 [size_px, size_px, 3], RGB.

    Raises:
      UserError: when the record or its image is damaged; names the image.
    """
    try:
      return decode_image(self.encoded(index), size_px)
    except DecodeError as error:
      raise self._corrupt(index, str(error)) from error

  def _corrupt(self, index: int, reason: str) -> UserError:
    return UserError(
      f'Image {str(self.image_ids[index])!r} of {self.name} ({self.split}, record {index}) is '
      f'damaged: {reason}; delete the prepared data set and build it again from the original files.'
    )


def open_split(name: str, split: str, data_dir: str | None = None) -> Split:
  """Opens one split of a prepared data set; reads its columns once, its images later.

  Args:
    name: data set, with its configuration after a slash where not the default: 'ham10000',
      'ham10000/random'.
    split: name of the split; TFDS slices such as 'train[:10%]' work too.
    data_dir: where data sets were prepared; None is TFDS's default ($TFDS_DATA_DIR or
      ~/tensorflow_datasets).

  Returns:
    The split.

  Raises:
    UserError: when the data set or the split is not there, or holds other features than the
      project's builders write.
  """
  builder = _open_builder(name, data_dir)
  return _read_split(builder, split)


def provenance(name: str, data_dir: str | None = None) -> dict[str, Any]:
  """What a run must remember about its data: version, licence, citation, counts, fingerprint.

  The fingerprint is the SHA-256 of the sorted rows (image_id, label, group_id, fold, split), so
  it is the same for every build of one version, whatever the order or the format of its files.

  Args:
    name: as in `open_split`.
    data_dir: as in `open_split`.

  Returns:
    A JSON-ready dictionary, the contents of a run's `data.json`.
  """
  builder = _open_builder(name, data_dir)
  info = builder.info
  rows: list[str] = []
  splits = {}
  for split_name in sorted(info.splits):
    split = _read_split(builder, split_name)
    class_names = split.class_names
    counts = np.bincount(split.labels, minlength=len(class_names))
    splits[split_name] = {
      'images': len(split),
      'groups': len(np.unique(split.group_ids)),
      'support': {c: int(n) for c, n in zip(class_names, counts, strict=True)},
    }
    columns = (split.image_ids, split.labels, split.group_ids, split.folds)
    rows += ['\t'.join(map(str, row)) + f'\t{split_name}' for row in zip(*columns, strict=True)]
  return {
    'name': info.name,
    'config': builder.builder_config.name if builder.builder_config else '',
    'version': str(info.version),
    'description': info.description,
    'citation': info.citation,
    'licence': info.as_proto.redistribution_info.license,
    'homepage': info.homepage,
    'class_names': list(info.features['label'].names),
    'splits': splits,
    'fingerprint': hashlib.sha256('\n'.join(sorted(rows)).encode()).hexdigest(),
  }


def _open_builder(name: str, data_dir: str | None) -> Any:
  """The builder of a data set that is prepared in the right format, or a UserError."""
  where = data_dir or str(constants.DATA_DIR)
  command = f'python -m data_builders.build {name} --data_dir={where}'
  try:
    builder: Any = tfds.builder(name, data_dir=data_dir, file_format='array_record')
  except (tfds.core.DatasetNotFoundError, ValueError, RuntimeError) as error:
    raise UserError(
      f'Data set {name!r} is unknown to TFDS and not prepared in {where} ({one_line(error)}); '
      f'check its name and configuration or build it with `{command}`.'
    ) from error
  if not builder.data_path.exists():
    raise UserError(
      f'Data set {name!r} is not prepared: looked in {builder.data_path}; build it with '
      f'`{command}` (and --manual_dir=DIR for files downloaded by hand).'
    )
  if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
    raise UserError(
      f'Data set {name!r} in {builder.data_path} is stored as {builder.info.file_format.value}, '
      f'but training reads array_record; build it in another directory with `{command}`.'
    )
  return builder


def _read_split(builder: Any, split: str) -> Split:
  info = builder.info
  name = info.full_name.rsplit('/', 1)[0]
  missing = [key for key in ('image', *COLUMNS) if key not in info.features]
  if missing:
    raise UserError(
      f'Data set {name!r} has no feature {missing[0]!r}; the records must hold '
      f"{', '.join(('image', *COLUMNS))}, as the project's builders write them."
    )
  base_name = re.split(r'[\[+]', split)[0]
  if base_name not in info.splits:
    raise UserError(
      f'Data set {name!r} has no split {split!r}; it has {", ".join(sorted(info.splits))}.'
    )
  raw = tfds.decode.DeserializeMethod.RAW_BYTES
  source = builder.as_data_source(split, deserialize_method=raw)
  columns = read_columns(builder, split, source)
  return Split(
    name=name,
    split=split,
    class_names=tuple(info.features['label'].names),
    labels=columns['label'],
    image_ids=columns['image_id'],
    group_ids=columns['group_id'],
    folds=columns['fold'],
    source=source,
    image_features=subset(info.features, ('image',)),
  )
