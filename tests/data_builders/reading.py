"""Reading prepared data back, for comparisons."""

from __future__ import annotations

import tensorflow_datasets as tfds
from array_record.python import array_record_data_source


def records(builder: tfds.core.DatasetBuilder, decode: tuple[str, ...] = ()) -> dict[str, dict]:
  """Returns all records by image id, with the split they came from; only `decode` decoded."""
  images = [n for n, kind in builder.info.features.items() if isinstance(kind, tfds.features.Image)]
  decoders = {name: tfds.decode.SkipDecoding() for name in images if name not in decode}
  result = {}
  for split in builder.info.splits:
    for record in builder.as_data_source(split, decoders=decoders):
      result[record['image_id'].decode()] = {**record, 'split': split}
  return result


def raw_records(builder: tfds.core.DatasetBuilder, split: str = 'train') -> list[bytes]:
  """Returns the serialised records of the a split in their order."""
  paths = sorted(map(str, builder.data_path.glob(f'*-{split}.array_record*')))
  source = array_record_data_source.ArrayRecordDataSource(paths)
  return [source[index] for index in range(len(source))]
