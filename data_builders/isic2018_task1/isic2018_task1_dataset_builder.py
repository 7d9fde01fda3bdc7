"""ISIC 2018 Task 1: dermoscopic images with the mask of the lesion."""

from __future__ import annotations

import contextlib

import tensorflow_datasets as tfds

from data_builders import archives, configs, downloads, identity, schema, sharded
from data_builders.errors import UserError

_BASE = 'https://isic-challenge-data.s3.amazonaws.com/2018'
_TRAINING = ('ISIC2018_Task1-2_Training_Input.zip', 'ISIC2018_Task1_Training_GroundTruth.zip')
_OFFICIAL = {
  f'official_{part.lower()}': (
    f'ISIC2018_Task1-2_{part}_Input.zip',
    f'ISIC2018_Task1_{part}_GroundTruth.zip',
  )
  for part in ('Validation', 'Test')
}


class Builder(sharded.ArchiveBuilder):
  """Builds ISIC 2018 Task 1 from the official files, downloaded or in a manual directory."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}  # noqa: RUF012 (the type is TFDS's)
  BUILDER_CONFIGS = configs.listed('grouped', 'random', 'grouped-stretch256', binary=False)
  DEFAULT_BUILDER_CONFIG_NAME = 'grouped'
  BINARY = False
  FILES = tuple(
    downloads.OfficialFile(name, f'{_BASE}/{name}', part=part)
    for part, names in {'': _TRAINING, **_OFFICIAL}.items()
    for name in names
  )
  MANUAL_DOWNLOAD_INSTRUCTIONS = downloads.instructions(FILES)
  HOMEPAGE = 'https://challenge.isic-archive.com/data/#2018'

  def _features(self) -> tfds.features.FeaturesDict:
    return schema.features(mask=True)

  @staticmethod
  def read_plan(source: sharded.Source, stack: contextlib.ExitStack) -> sharded.Plan:
    """Lists the archives; there is no table, so every image must have a mask and vice versa."""
    parts = {name: names for name, names in _OFFICIAL.items() if names[0] in source.paths}
    image_archives = [_TRAINING[0], *(names[0] for names in parts.values())]
    mask_archives = [_TRAINING[1], *(names[1] for names in parts.values())]
    jpegs = stack.enter_context(
      archives.ZippedImages([source.paths[name] for name in image_archives], '.jpg')
    )
    masks = stack.enter_context(
      archives.ZippedImages([source.paths[name] for name in mask_archives], '_segmentation.png')
    )
    if not jpegs.ids_in(source.paths[_TRAINING[0]]):
      raise UserError(f'{source.paths[_TRAINING[0]]} holds no image; download it again.')
    training = sorted(jpegs.ids_in(source.paths[_TRAINING[0]]))
    records = {image_id: schema.record(image_id) for image_id in training}
    # No class is published, so that all images are spread as one.
    splits = identity.split(records, [''] * len(records), [], source.config.by_image)
    for part, names in parts.items():
      members = sorted(jpegs.ids_in(source.paths[names[0]]))
      records |= {name: schema.record(name, group_id=name) for name in members}
      splits[part] = members
    missing = archives.check_all(
      records, splits, f'images of {source.paths[_TRAINING[0]]}', source.allow_missing, mask=masks
    )
    return sharded.Plan(splits, records, jpegs, masks, missing)
