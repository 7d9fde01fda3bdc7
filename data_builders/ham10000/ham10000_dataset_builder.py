"""HAM10000: dermoscopic images of seven diagnoses with lesion masks and metadata."""

from __future__ import annotations

import contextlib
from typing import Any

import tensorflow_datasets as tfds

from data_builders import archives, configs, downloads, identity, schema, sharded, tables

CLASS_NAMES = ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')

_DATAFILE = 'https://dataverse.harvard.edu/api/access/datafile'
_IMAGES = ('HAM10000_images_part_1.zip', 'HAM10000_images_part_2.zip')
_METADATA = 'HAM10000_metadata.csv'
_MASKS = 'HAM10000_segmentations_lesion_tschandl.zip'
# `dataset` is not required: a widespread copy of the table lacks it.
_COLUMNS = ('lesion_id', 'image_id', 'dx', 'dx_type', 'age', 'sex', 'localization')


class Builder(sharded.ArchiveBuilder):
  """Builds HAM10000 from the official files, downloaded or in a manual directory."""

  VERSION = tfds.core.Version('2.0.0')
  RELEASE_NOTES = {  # noqa: RUF012 (the type is TFDS's)
    '1.0.0': 'First release.',
    '2.0.0': 'Folds shared with ISIC 2019 and Task 1; site, source and confirmation are called as'
    ' in the other data sets.',
  }
  BUILDER_CONFIGS = configs.listed(
    'grouped', 'random', 'grouped-binary', 'random-binary', 'grouped-stretch256-hair-clahe'
  )
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
  MANUAL_DOWNLOAD_INSTRUCTIONS = downloads.instructions(FILES)
  HOMEPAGE = 'https://doi.org/10.7910/DVN/DBW86T'

  def _features(self) -> tfds.features.FeaturesDict:
    return schema.features(self._config.class_names(CLASS_NAMES), mask=True)

  @staticmethod
  def read_plan(source: sharded.Source, stack: contextlib.ExitStack) -> sharded.Plan:
    """Reads the metadata and checks it against the archives."""
    table = tables.read_table(source.paths[_METADATA], _COLUMNS, key='image_id')
    records, splits = read_records(table, source.config)
    jpegs = stack.enter_context(
      archives.ZippedImages([source.paths[name] for name in _IMAGES], '.jpg')
    )
    masks = stack.enter_context(archives.ZippedImages([source.paths[_MASKS]], '_segmentation.png'))
    missing = archives.check_all(
      records, splits, f'rows of {table.path}', source.allow_missing, image=jpegs, mask=masks
    )
    return sharded.Plan(splits, records, jpegs, masks, missing)


def read_records(
  table: tables.Table, config: configs.DermoscopyConfig
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
  """Turns the metadata table into records without pixels, and decides on splits.

  Args:
    table: HAM10000's metadata.
    config: how to split and label.

  Returns:
    Image id -> all features but image and mask; split name -> its image ids.

  Raises:
    UserError: an unknown class or an age that is no number; names file and line.
  """
  classes = [schema.one_of(table, row, 'dx', CLASS_NAMES) for row in range(len(table.rows))]
  records = {
    row['image_id']: schema.record(
      row['image_id'],
      label=config.label(classes[index], CLASS_NAMES),
      lesion_id=schema.text(table, index, 'lesion_id'),
      age=schema.age(table, index, 'age'),
      sex=schema.sex(table, index),
      site=schema.text(table, index, 'localization'),
      source=row.get('dataset', ''),
      confirmation=row['dx_type'],
    )
    for index, row in enumerate(table.rows)
  }
  lesion_ids = [record['lesion_id'] for record in records.values()]
  return records, identity.split(records, classes, [lesion_ids], config.by_image)
