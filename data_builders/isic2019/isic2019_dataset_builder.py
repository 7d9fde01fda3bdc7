"""ISIC 2019: dermoscopic images of eight diagnoses, and the official test set."""

from __future__ import annotations

import contextlib
from typing import Any

import tensorflow_datasets as tfds

from data_builders import archives, configs, downloads, identity, schema, sharded, tables
from data_builders.errors import UserError

CLASS_NAMES = ('ak', 'bcc', 'bkl', 'df', 'mel', 'nv', 'scc', 'vasc', 'unk')
OFFICIAL_TEST = 'official_test'

_BASE = 'https://isic-challenge-data.s3.amazonaws.com/2019'
_IMAGES = 'ISIC_2019_Training_Input.zip'
_TRUTH = 'ISIC_2019_Training_GroundTruth.csv'
_METADATA = 'ISIC_2019_Training_Metadata.csv'
_TEST_IMAGES = 'ISIC_2019_Test_Input.zip'
_TEST_TRUTH = 'ISIC_2019_Test_GroundTruth.csv'
_TEST_METADATA = 'ISIC_2019_Test_Metadata.csv'
# As the official table names and orders them; UNK is missing in some copies.
_COLUMNS = ('MEL', 'NV', 'BCC', 'AK', 'BKL', 'DF', 'VASC', 'SCC')
_SOURCES = {'HAM': 'ham10000', 'BCN': 'bcn20000', 'MSK': 'msk'}


class Builder(sharded.ArchiveBuilder):
  """Builds ISIC 2019 from the official files, downloaded or in a manual directory."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}  # noqa: RUF012 (the type is TFDS's)
  BUILDER_CONFIGS = configs.listed(
    'grouped',
    'random',
    'grouped-binary',
    'random-binary',
    'grouped-stretch256',
    'grouped-stretch256-hair-clahe',
    'random-stretch256-hair17-clahe',
  )
  DEFAULT_BUILDER_CONFIG_NAME = 'grouped'
  # Of the archives no checksums are known; those of what is used are recorded with the data set.
  FILES = (
    downloads.OfficialFile(_IMAGES, f'{_BASE}/{_IMAGES}'),
    downloads.OfficialFile(
      _TRUTH,
      f'{_BASE}/{_TRUTH}',
      num_bytes=1_266_147,
      sha256='1aeb657e274f8bbeff05c1afcd4af3148fe44445723a95c48f1b4f44af05890f',
    ),
    downloads.OfficialFile(
      _METADATA,
      f'{_BASE}/{_METADATA}',
      num_bytes=1_189_019,
      sha256='39d5e27038cc9e15f9982875206f471e62e83a36873e237589cee5208f13f249',
    ),
    downloads.OfficialFile(_TEST_IMAGES, f'{_BASE}/{_TEST_IMAGES}', part=OFFICIAL_TEST),
    downloads.OfficialFile(_TEST_TRUTH, f'{_BASE}/{_TEST_TRUTH}', part=OFFICIAL_TEST),
    downloads.OfficialFile(
      _TEST_METADATA,
      f'{_BASE}/{_TEST_METADATA}',
      num_bytes=293_638,
      sha256='1424022e92b6db4baae0b6e89bb7d4e71689a7ddaabc37c4922c92766dd69670',
      part=OFFICIAL_TEST,
    ),
  )
  MANUAL_DOWNLOAD_INSTRUCTIONS = downloads.instructions(FILES)
  HOMEPAGE = 'https://challenge.isic-archive.com/data/#2019'

  def _features(self) -> tfds.features.FeaturesDict:
    return schema.features(self._config.class_names(CLASS_NAMES))

  @staticmethod
  def read_plan(source: sharded.Source, stack: contextlib.ExitStack) -> sharded.Plan:
    """Reads the tables and checks them against the archives."""
    paths = source.paths
    truth = tables.read_table(paths[_TRUTH], ('image', *_COLUMNS), key='image')
    metadata = tables.read_table(
      paths[_METADATA],
      ('image', 'age_approx', 'anatom_site_general', 'lesion_id', 'sex'),
      key='image',
    )
    records, splits = read_records(truth, metadata, source.config)
    archive_names = [_IMAGES]
    tables_read = str(truth.path)
    if _TEST_IMAGES in paths:
      test = read_test_records(
        tables.read_table(paths[_TEST_TRUTH], ('image', *_COLUMNS), key='image'),
        tables.read_table(
          paths[_TEST_METADATA], ('image', 'age_approx', 'anatom_site_general', 'sex'), key='image'
        ),
        source.config,
      )
      if both := sorted(set(test) & set(records)):
        raise UserError(
          f'{both[0]} is in {truth.path} and in {paths[_TEST_TRUTH]}; restore the official tables.'
        )
      splits[OFFICIAL_TEST] = list(test)
      records |= test
      archive_names.append(_TEST_IMAGES)
      tables_read += f' and {paths[_TEST_TRUTH]}'
    jpegs = stack.enter_context(
      archives.ZippedImages([paths[name] for name in archive_names], '.jpg')
    )
    missing = archives.check_all(
      records, splits, f'rows of {tables_read}', source.allow_missing, image=jpegs
    )
    return sharded.Plan(splits, records, jpegs, missing=missing)


def read_records(
  truth: tables.Table, metadata: tables.Table, config: configs.DermoscopyConfig
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
  """Turns the training tables into records without pixels, and decides on splits.

  Args:
    truth: one-hot classes.
    metadata: age, site, lesion and sex.
    config: how to split and label.

  Returns:
    Image id -> all features but the image; split name -> its image ids.

  Raises:
    UserError: the tables name different images, a row sets no class or several, or a cell is not as
      published; names file and line.
  """
  records, classes = _join(truth, metadata, config)
  for row, (image_id, name) in enumerate(zip(records, classes, strict=True)):
    if records[image_id]['label'] < 0 or name == 'unk':
      raise UserError(
        f"{truth.where(row)} has the class '{name}', which training images cannot have; restore the"
        ' official table, or map the class.'
      )
  lesion_ids = [record['lesion_id'] for record in records.values()]
  return records, identity.split(records, classes, [lesion_ids], config.by_image)


def read_test_records(
  truth: tables.Table, metadata: tables.Table, config: configs.DermoscopyConfig
) -> dict[str, dict[str, Any]]:
  """Turns the official test tables into records: fold -1, every image its own group."""
  records, _ = _join(truth, metadata, config)
  return {image_id: record | {'group_id': image_id} for image_id, record in records.items()}


def _join(
  truth: tables.Table, metadata: tables.Table, config: configs.DermoscopyConfig
) -> tuple[dict[str, dict[str, Any]], list[str]]:
  """Returns image id -> record, and the published class of every record."""
  columns = [*_COLUMNS, 'UNK'] if 'UNK' in truth.rows[0] else list(_COLUMNS)
  row_of = {row['image']: index for index, row in enumerate(metadata.rows)}
  for one, other, path in (
    (truth.column('image'), row_of, metadata.path),
    (metadata.column('image'), set(truth.column('image')), truth.path),
  ):
    for image_id in one:
      if image_id not in other:
        raise UserError(f'{path} has no row of {image_id}; restore the official table.')
  records: dict[str, dict[str, Any]] = {}
  classes = []
  for index, image_id in enumerate(truth.column('image')):
    classes.append(schema.one_hot(truth, index, columns))
    row = row_of[image_id]
    lesion_id = schema.text(metadata, row, 'lesion_id')
    records[image_id] = schema.record(
      image_id,
      label=config.label(classes[-1], CLASS_NAMES),
      lesion_id=lesion_id,
      age=schema.age(metadata, row, 'age_approx'),
      sex=schema.sex(metadata, row),
      site=schema.text(metadata, row, 'anatom_site_general'),
      source=_SOURCES.get(lesion_id[:3], ''),
    )
  return records, classes
