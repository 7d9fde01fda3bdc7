"""ISIC 2020 (SIIM-ISIC): melanoma against the rest, images of a patient together."""

from __future__ import annotations

import contextlib
from typing import Any

import tensorflow_datasets as tfds

from data_builders import archives, configs, downloads, identity, schema, sharded, tables
from data_builders.errors import UserError

CLASS_NAMES = ('benign', 'malignant')
DIAGNOSES = (
  'atypical melanocytic proliferation',
  'cafe-au-lait macule',
  'lentigo NOS',
  'lichenoid keratosis',
  'melanoma',
  'nevus',
  'seborrheic keratosis',
  'solar lentigo',
  'unknown',
)

_BASE = 'https://isic-challenge-data.s3.amazonaws.com/2020'
_IMAGES = 'ISIC_2020_Training_JPEG.zip'
_TRUTH = 'ISIC_2020_Training_GroundTruth_v2.csv'
_DUPLICATES = 'ISIC_2020_Training_Duplicates.csv'
_SITE = 'anatom_site_general_challenge'
# lesion_id is not required: the first version of the table lacks it.
_COLUMNS = ('image_name', 'patient_id', 'sex', 'age_approx', _SITE, 'diagnosis', 'benign_malignant')


class Builder(sharded.ArchiveBuilder):
  """Builds ISIC 2020 from the official files, downloaded or in a manual directory."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}  # noqa: RUF012 (the type is TFDS's)
  BUILDER_CONFIGS = configs.listed(
    'grouped', 'random', 'grouped-stretch256', 'random-vga224', binary=False
  )
  DEFAULT_BUILDER_CONFIG_NAME = 'grouped'
  BINARY = False
  FILES = (
    downloads.OfficialFile(_IMAGES, f'{_BASE}/{_IMAGES}'),
    downloads.OfficialFile(
      _TRUTH,
      f'{_BASE}/{_TRUTH}',
      num_bytes=2_354_291,
      sha256='f5b53106f8cdad5d1960cb004f7cd9c99b26a8c0e0b181412d2489f4a5e38ee3',
      other_names=('ISIC_2020_Training_GroundTruth.csv',),
    ),
    downloads.OfficialFile(
      _DUPLICATES,
      f'{_BASE}/{_DUPLICATES}',
      num_bytes=11_502,
      sha256='4fdecab59ff7e60a48bc904bd9f346ecd23f8e9050e226640536407b941f0726',
    ),
  )
  MANUAL_DOWNLOAD_INSTRUCTIONS = downloads.instructions(FILES)
  HOMEPAGE = 'https://doi.org/10.34970/2020-ds01'

  def _features(self) -> tfds.features.FeaturesDict:
    diagnosis = tfds.features.ClassLabel(names=list(DIAGNOSES))
    return schema.features(CLASS_NAMES, extra={'diagnosis': diagnosis})

  @staticmethod
  def read_plan(source: sharded.Source, stack: contextlib.ExitStack) -> sharded.Plan:
    """Reads the tables, removes the duplicates and checks against the archive."""
    truth = tables.read_table(source.paths[_TRUTH], _COLUMNS, key='image_name')
    duplicates = tables.read_table(
      source.paths[_DUPLICATES], ('image_name_1', 'image_name_2'), key='image_name_2'
    )
    removed = duplicates_to_remove(truth, duplicates)
    records, splits = read_records(truth, removed, source.config)
    jpegs = stack.enter_context(
      archives.ZippedImages([source.paths[_IMAGES]], '.jpg', ignored=removed)
    )
    missing = archives.check_all(
      records, splits, f'rows of {truth.path}', source.allow_missing, image=jpegs
    )
    return sharded.Plan(splits, records, jpegs, missing=missing)


def duplicates_to_remove(truth: tables.Table, duplicates: tables.Table) -> set[str]:
  """Returns the second image of every pair of the official list; the first stays.

  Raises:
    UserError: a pair names an image that the table lacks or that is itself removed, or the two
      differ in label or patient.
  """
  row_of = {row['image_name']: row for row in truth.rows}
  removed = set(duplicates.column('image_name_2'))
  for index, pair in enumerate(duplicates.rows):
    one, other = pair['image_name_1'], pair['image_name_2']
    if one in removed:
      raise UserError(
        f'{duplicates.where(index)} keeps {one}, which the same list removes; restore the official'
        ' table.'
      )
    for image_id in (one, other):
      if image_id not in row_of:
        raise UserError(
          f'{duplicates.where(index)} names {image_id}, which is not in {truth.path}; restore the'
          ' official tables.'
        )
    for column in ('benign_malignant', 'patient_id'):
      if row_of[one][column] != row_of[other][column]:
        raise UserError(
          f'{duplicates.where(index)} pairs {one} and {other}, whose {column} differs in'
          f' {truth.path}; restore the official tables.'
        )
  return removed


def read_records(
  truth: tables.Table, removed: set[str], config: configs.DermoscopyConfig
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
  """Turns the table into records without pixels, and decides on splits.

  Args:
    truth: patients, diagnoses and metadata.
    removed: image ids to leave out.
    config: how to split.

  Returns:
    Image id -> all features but the image; split name -> its image ids.

  Raises:
    UserError: a cell is not as published; names file and line.
  """
  diagnoses = {name.lower(): name for name in DIAGNOSES}
  records: dict[str, dict[str, Any]] = {}
  classes = []
  for index, row in enumerate(truth.rows):
    if row['image_name'] in removed:
      continue
    diagnosis = schema.one_of(truth, index, 'diagnosis', tuple(diagnoses))
    name = schema.one_of(truth, index, 'benign_malignant', CLASS_NAMES)
    if row.get('target', str(CLASS_NAMES.index(name))) != str(CLASS_NAMES.index(name)):
      raise UserError(
        f"{truth.where(index)} has target '{row['target']}' but is {name}; restore the official"
        ' table.'
      )
    if (diagnosis == 'melanoma') != (name == 'malignant'):
      raise UserError(
        f'{truth.where(index)} is {name} with the diagnosis {diagnosis}, but melanoma and only'
        ' melanoma is malignant here; restore the official table.'
      )
    if not schema.text(truth, index, 'patient_id'):
      raise UserError(f'{truth.where(index)} has no patient_id; restore the official table.')
    classes.append(f'{name} {diagnosis}')
    lesion_id = schema.text(truth, index, 'lesion_id')
    records[row['image_name']] = schema.record(
      row['image_name'],
      label=CLASS_NAMES.index(name),
      diagnosis=diagnoses[diagnosis],
      patient_id=row['patient_id'],
      lesion_id='' if lesion_id == '0' else lesion_id,  # One row of the official table.
      age=schema.age(truth, index, 'age_approx'),
      sex=schema.sex(truth, index),
      site=schema.text(truth, index, _SITE),
    )
  columns = [[record[name] for record in records.values()] for name in ('patient_id', 'lesion_id')]
  return records, identity.split(records, classes, columns, config.by_image)
