"""HAM10000: dermoscopic images of seven diagnoses with lesion masks and metadata."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_builders import archives, downloads, folds, groups, images, sharded, tables
from data_builders.errors import UserError

CLASS_NAMES = ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')

_DATAFILE = 'https://dataverse.harvard.edu/api/access/datafile'
_IMAGES = ('HAM10000_images_part_1.zip', 'HAM10000_images_part_2.zip')
_METADATA = 'HAM10000_metadata.csv'
_MASKS = 'HAM10000_segmentations_lesion_tschandl.zip'
# `dataset` is not required: a widespread copy of the table lacks it.
_COLUMNS = ('lesion_id', 'image_id', 'dx', 'dx_type', 'age', 'sex', 'localization')
_TEXTS = ('lesion_id', 'sex', 'localization', 'dx_type', 'dataset')


class Builder(sharded.ArchiveBuilder):
  """Builds HAM10000 from the official files, downloaded or in a manual directory."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}  # noqa: RUF012 (the type is TFDS's)
  BUILDER_CONFIGS = [  # noqa: RUF012
    tfds.core.BuilderConfig(
      name='grouped',
      description='All images of a lesion, and near-duplicates, are in one split and one fold.',
    ),
    tfds.core.BuilderConfig(
      name='random',
      description='Images are split one by one with the same shares. Lesions leak from train to'
      ' test: only for reproducing published protocols that did the same.',
    ),
  ]
  DEFAULT_BUILDER_CONFIG_NAME = 'grouped'
  FILES = (
    downloads.OfficialFile(
      _IMAGES[0],
      f'{_DATAFILE}/3172585',
      num_bytes=1_366_522_108,
      md5='4639bfa73ab251610530a97c898e6e46',
    ),
    downloads.OfficialFile(
      _IMAGES[1],
      f'{_DATAFILE}/3172584',
      num_bytes=1_403_566_547,
      md5='da43d6cc50f6613013be07e8986b384b',
    ),
    downloads.OfficialFile(
      _METADATA,
      f'{_DATAFILE}/4338392?format=original',
      num_bytes=690_218,
      sha256='de17ec44cb25ea9c3f6378ba18d69224c740afd62e86ec2edc6a894d6aa663d3',
      other_names=('HAM10000_metadata',),
    ),
    downloads.OfficialFile(
      _MASKS,
      f'{_DATAFILE}/3838943',
      num_bytes=10_808_743,
      md5='6e8d252e09cfdb0189199f15985a5b84',
    ),
  )
  MANUAL_DOWNLOAD_INSTRUCTIONS = 'Files and addresses:\n' + '\n'.join(
    f'{file.name} from {file.url}' for file in FILES
  )

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(
        {
          'image': tfds.features.Image(shape=(None, None, 3), encoding_format='jpeg'),
          'mask': tfds.features.Image(shape=(None, None, 1), encoding_format='png'),
          'label': tfds.features.ClassLabel(names=CLASS_NAMES),
          'image_id': tfds.features.Text(),
          'group_id': tfds.features.Text(),
          'lesion_id': tfds.features.Text(),
          'fold': tfds.features.Scalar(np.int32),
          'age': tfds.features.Scalar(np.float32),
          'sex': tfds.features.Text(),
          'localization': tfds.features.Text(),
          'dx_type': tfds.features.Text(),
          'dataset': tfds.features.Text(),
        }
      ),
      supervised_keys=('image', 'label'),
      homepage='https://doi.org/10.7910/DVN/DBW86T',
      license='CC BY-NC 4.0',
      metadata=tfds.core.MetadataDict(),
    )

  def _plan(self, paths: Mapping[str, pathlib.Path], stack: contextlib.ExitStack) -> sharded.Plan:
    table = tables.read_table(paths[_METADATA], _COLUMNS, key='image_id')
    jpegs = stack.enter_context(archives.ZippedImages([paths[name] for name in _IMAGES], '.jpg'))
    masks = stack.enter_context(archives.ZippedImages([paths[_MASKS]], '_segmentation.png'))
    rows, splits = read_records(table, grouped=self.builder_config_name != 'random')
    archives.check_complete(jpegs, rows, f'row in {table.path}', 'image')
    archives.check_complete(masks, rows, f'row in {table.path}', 'mask')

    def example(image_id: str) -> dict[str, Any]:
      jpeg = jpegs.read(image_id)
      shape = images.check_jpeg(jpeg, jpegs.where(image_id))
      mask = images.binary_mask_png(masks.read(image_id), shape, masks.where(image_id))
      return {'image': jpeg, 'mask': mask, **rows[image_id]}

    return sharded.Plan(splits, jpegs.num_bytes, example)


def read_records(
  table: tables.Table, grouped: bool
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
  """Turns the metadata table into records without pixels, and decides on splits.

  Args:
    table: HAM10000's metadata.
    grouped: whether a lesion stays together; else every image is split by itself.

  Returns:
    Image id -> all features but image and mask; split name -> its image ids.

  Raises:
    UserError: an unknown class or an age that is no number; names file and line.
  """
  labels = [_label(table, row) for row in range(len(table.rows))]
  image_ids = table.column('image_id')
  group_ids = groups.connect(
    image_ids, table.column('lesion_id'), pairs=groups.near_duplicate_pairs()
  )
  slots = folds.assign_slots(group_ids if grouped else image_ids, labels)
  features = {
    image_id: {
      'label': labels[row],
      'image_id': image_id,
      'group_id': str(group_ids[row]),
      'fold': fold,
      'age': _age(table, row),
      'dataset': '',
    }
    | {name: table.rows[row][name] for name in _TEXTS if name in table.rows[row]}
    for row, (image_id, fold) in enumerate(zip(image_ids, folds.fold_numbers(slots), strict=True))
  }
  splits: dict[str, list[str]] = {name: [] for name in folds.SPLIT_SLOTS}
  for image_id, split in zip(image_ids, folds.split_names(slots), strict=True):
    splits[str(split)].append(image_id)
  return features, {name: members for name, members in splits.items() if members}


def _label(table: tables.Table, row: int) -> int:
  name = table.rows[row]['dx'].lower()
  if name not in CLASS_NAMES:
    raise UserError(
      f"{table.where(row)} has the unknown class '{name}' in column dx; allowed are"
      f' {", ".join(CLASS_NAMES)}.'
    )
  return CLASS_NAMES.index(name)


def _age(table: tables.Table, row: int) -> np.float32:
  """Returns the age in years, nan where it is missing."""
  text = table.rows[row]['age']
  if not text:
    return np.float32(np.nan)
  try:
    age = float(text)
  except ValueError:
    age = -1.0
  if not 0 <= age <= 150:
    raise UserError(f"{table.where(row)} has '{text}' in column age; it must be years or empty.")
  return np.float32(age)
