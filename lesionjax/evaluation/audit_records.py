"""What an audit looks at: one row an image, from prepared TFDS data sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from data_builders import generated, groups, identity
from data_builders.errors import UserError
from lesionjax.data import synthetic as synthetic_lib
from lesionjax.data.columns import one_line, subset
from lesionjax.data.datasets import names_of, open_builder
from lesionjax.evaluation.audit_rows import Rows

# Features that connect images where a data set has them.
_CONNECTING = ('group_id', 'lesion_id', 'patient_id')
_READ_AHEAD = 256


def from_data_sets(names: str, data_dir: str | None = None, synthetic: str = '') -> Rows:
  """Reads the columns of prepared data sets and connects their images, across data sets, too.

  Args:
    names: data sets, joined by commas, each with its configuration after a slash.
    data_dir: where they were prepared; None is TFDS's default.
    synthetic: the --out of --mode=generate: its images are training images beside the others.

  Returns:
    All images of all splits, with ids as they are in all data sets. Images are connected by group,
    lesion, patient, id, and the shipped list of near-duplicates.

  Raises:
    UserError: a data set is not prepared, has no image_id, or its records are damaged.
  """
  records: list[dict[str, str]] = []
  places: dict[str, tuple[Any, int, Any]] = {}
  sources = [(name, data_dir) for name in names_of(names)]
  if synthetic:
    synthetic_lib.open_generated(synthetic)  # refuses what is none
    sources.append((generated.NAME, synthetic))
  for name, place in sources:
    builder = open_builder(name, place)
    if 'image_id' not in builder.info.features:
      raise UserError(
        f'Data set {name!r} has no feature image_id; the audit reads data sets whose records hold'
        " image_id, group_id and fold, as the project's builders write them."
      )
    image_features = subset(builder.info.features, ('image',))
    for split in sorted(builder.info.splits):
      raw = tfds.decode.DeserializeMethod.RAW_BYTES
      source = builder.as_data_source(split, deserialize_method=raw)
      for index, record in enumerate(_scan(builder.info, source, f'{name} ({split})')):
        records.append({**record, 'split': split, 'source': name})
        places.setdefault(record['image_id'], (source, index, image_features))

  def column(key: str) -> list[str]:
    return [record.get(key, '') for record in records]

  image_ids = column('image_id')
  connecting = tuple(key for key in _CONNECTING if any(column(key)))
  connected = groups.connect(
    image_ids,
    *(column(key) for key in connecting),
    image_ids,
    pairs=groups.near_duplicate_pairs(),
  )
  folds = np.array([int(record.get('fold', -1)) for record in records])
  return Rows(
    what=', '.join(name for name, _ in sources),
    image_ids=image_ids,
    splits=column('split'),
    labels=column('label'),
    groups=connected,
    group_by=(*connecting, 'known near-duplicate'),
    sources=column('source'),
    folds=folds if (folds >= 0).any() else None,
    shaped=_shaped(synthetic, image_ids, column('group_id')) if synthetic else None,
    read=lambda image_id: _encoded(image_id, *places[image_id]),
  )


def _shaped(synthetic: str, image_ids: Sequence[str], group_ids: Sequence[str]) -> np.ndarray:
  """Which images, or others of their lesion, the generator was trained on, bool [N]."""
  path = epath.Path(synthetic) / synthetic_lib.SEEN
  try:
    seen = json.loads(path.read_text())
    return np.isin(image_ids, seen['images']) | np.isin(group_ids, seen['groups'])
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise UserError(
      f'{path} does not tell what the generator was trained on ({error}): generate the images again'
      ' with --mode=generate.'
    ) from error


def _scan(info: Any, source: Any, where: str) -> list[dict[str, str]]:
  """The audited features of every record as strings; images stay unparsed."""
  keys = [key for key in ('image_id', *_CONNECTING, 'label', 'fold') if key in info.features]
  small = subset(info.features, keys)
  rows = []
  for start in range(0, len(source), _READ_AHEAD):
    stop = min(start + _READ_AHEAD, len(source))
    try:
      parsed = [small.deserialize_example_np(r) for r in source.__getitems__(range(start, stop))]
    except Exception as error:  # whatever the file format's reader raises
      raise UserError(
        f'Records {start} to {stop - 1} of {where} cannot be read ({one_line(error)}); delete the '
        'prepared data set and build it again.'
      ) from error
    rows += [_plain(info, record) for record in parsed]
  return rows


def _plain(info: Any, record: dict[str, Any]) -> dict[str, str]:
  row = {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in record.items()}
  if 'label' in record:
    label = int(record['label'])
    row['label'] = info.features['label'].int2str(label) if label >= 0 else 'none'
  row['image_id'] = identity.canonical_id(row['image_id'])
  return row


def _encoded(image_id: str, source: Sequence[bytes], index: int, features: Any) -> bytes:
  decoders = {'image': tfds.decode.SkipDecoding()}
  try:
    return features.deserialize_example_np(source[index], decoders=decoders)['image']
  except Exception as error:  # whatever the file format's reader raises
    raise UserError(
      f'The record of image {image_id} cannot be read ({one_line(error)}); delete the prepared data'
      ' set and build it again.'
    ) from error
