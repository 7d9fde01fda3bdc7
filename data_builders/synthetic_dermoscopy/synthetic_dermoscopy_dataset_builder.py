"""TFDS builder of the synthetic dermoscopy data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_builders import folds
from data_builders.synthetic_dermoscopy import plan, workers

LICENSE = 'CC0-1.0 (https://creativecommons.org/publicdomain/zero/1.0/)'


@dataclasses.dataclass
class SyntheticDermoscopyConfig(tfds.core.BuilderConfig):
  """What to draw.

  Attributes:
    image_px: side of the images in pixels.
    counts: class name -> number of images.
    photographs_per_lesion: photographs of successive lesions of a class, used in a cycle.
    by_image: split image by image, so that one lesion may lie in several splits.
  """

  image_px: int = 256
  counts: dict[str, int] = dataclasses.field(default_factory=plan.class_counts)
  photographs_per_lesion: tuple[int, ...] = plan.PHOTOGRAPHS_PER_LESION
  by_image: bool = False


class Builder(tfds.core.GeneratorBasedBuilder):
  """Draws skin lesions of eight classes with masks, hair-free twins and skin tone."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First version.'}  # noqa: RUF012
  BUILDER_CONFIGS = [  # noqa: RUF012
    SyntheticDermoscopyConfig(
      name='grouped', description='2,326 images of 256x256 pixels; all images of a lesion together.'
    ),
    SyntheticDermoscopyConfig(
      name='random', description='The same images, split one by one.', by_image=True
    ),
    SyntheticDermoscopyConfig(
      name='tiny',
      description='192 images of 64x64 pixels, 24 of each class, for tests; grouped.',
      image_px=64,
      counts=dict.fromkeys(plan.CLASS_NAMES, 24),
      photographs_per_lesion=(1, 1, 1, 1, 2),
    ),
  ]

  DEFAULT_BUILDER_CONFIG_NAME = 'grouped'

  num_workers: int | None = None
  """Processes that draw; None chooses. The records do not depend on it."""

  def _info(self) -> tfds.core.DatasetInfo:
    png = {'shape': (None, None, 1), 'encoding_format': 'png', 'dtype': np.uint8}
    jpeg = {'shape': (None, None, 3), 'encoding_format': 'jpeg', 'dtype': np.uint8}
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(
        {
          'image': tfds.features.Image(**jpeg, doc='sRGB photograph.'),
          'image_without_hair': tfds.features.Image(**jpeg, doc='The same without hairs.'),
          'mask': tfds.features.Image(**png, doc='Lesion: 255 inside, 0 outside.'),
          'hair_mask': tfds.features.Image(**png, doc='Hairs: 255 on a hair, 0 elsewhere.'),
          'label': tfds.features.ClassLabel(names=list(plan.CLASS_NAMES)),
          'image_id': tfds.features.Text(),
          'group_id': tfds.features.Text(
            doc='What must not be divided between splits: the lesion.'
          ),
          'lesion_id': tfds.features.Text(),
          'fold': tfds.features.Scalar(np.int32, doc='0-6 in train, 7-9 in validation and test.'),
          'ita_deg': tfds.features.Scalar(
            np.float32, doc='Individual typology angle of the clean skin in degrees.'
          ),
        }
      ),
      supervised_keys=('image', 'label'),
      license=LICENSE,
    )

  def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
    """Prepares the data set with worker processes that serve all splits."""
    config = self.builder_config
    assert isinstance(config, SyntheticDermoscopyConfig)
    with workers.Painters(sum(config.counts.values()), self.num_workers) as self._painters:
      super()._download_and_prepare(dl_manager, download_config)

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    del dl_manager  # Nothing to download.
    config = self.builder_config
    assert isinstance(config, SyntheticDermoscopyConfig)
    shots = plan.make_plan(config.counts, config.photographs_per_lesion)
    slots = plan.assign_slots(shots, config.by_image)
    splits = folds.split_names(slots)
    fold_of = {
      shot.image_id: fold for shot, fold in zip(shots, folds.fold_numbers(slots), strict=True)
    }
    return {
      name: self._generate_examples(
        [shot for shot, split in zip(shots, splits, strict=True) if split == name], fold_of
      )
      for name in folds.SPLIT_SLOTS
    }

  def _generate_examples(
    self, shots: list[plan.Photograph], fold_of: dict[str, np.int32]
  ) -> Iterator[tuple[str, dict[str, Any]]]:
    config = self.builder_config
    assert isinstance(config, SyntheticDermoscopyConfig)
    lesions = plan.by_lesion(shots)
    for shot, images in self._painters.draw(lesions, config.image_px):
      yield (
        shot.image_id,
        {
          **images,
          'label': shot.label,
          'image_id': shot.image_id,
          'group_id': shot.lesion_id,
          'lesion_id': shot.lesion_id,
          'fold': fold_of[shot.image_id],
          'ita_deg': np.float32(shot.ita_deg),
        },
      )
