"""A data set of a few drawn images with the features of the project's builders."""

from __future__ import annotations

import cv2
import numpy as np
import tensorflow_datasets as tfds

SIZES = {'train': 37, 'validation': 9}
CLASS_NAMES = ['bkl', 'mel', 'nv']


class DrawnImages(tfds.core.GeneratorBasedBuilder):
  """46 JPEGs; `broken` writes two that cannot be decoded, `order` changes only their order."""

  VERSION = tfds.core.Version('1.0.0')

  def __init__(self, *, broken: bool = False, reverse: bool = False, **kwargs: object):
    self._broken = broken
    self._reverse = reverse
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    features = tfds.features.FeaturesDict(
      {
        'image': tfds.features.Image(shape=(None, None, 3), encoding_format='jpeg'),
        'label': tfds.features.ClassLabel(names=CLASS_NAMES),
        'image_id': tfds.features.Text(),
        'group_id': tfds.features.Text(),
        'fold': np.int32,
      }
    )
    return tfds.core.DatasetInfo(
      builder=self, features=features, description='Drawn.', citation='@none', license='CC0'
    )

  def _split_generators(self, dl_manager: object) -> dict:
    return {name: self._generate_examples(name) for name in SIZES}

  def _generate_examples(self, split: str):
    indices = range(SIZES[split])
    for i in reversed(indices) if self._reverse else indices:
      data = cv2.imencode('.jpg', draw(i))[1].tobytes()
      if self._broken and i in (3, 4):
        data = data[:200] if i == 3 else b'no image'
      example = {
        'image': data,
        'label': 0 if i % 9 == 0 else 1 + i % 2,
        'image_id': f'{split}_{i:03d}',
        'group_id': f'{split}_lesion_{i // 2:03d}',
        'fold': np.int32(i % 7 if split == 'train' else 7),
      }
      # TFDS orders records by a hash of the key.
      yield (f'{"r" if self._reverse else ""}{i}', example)


def draw(i: int) -> np.ndarray:
  """A smooth image of its own, uint8 [40, 56, 3]."""
  grid = np.random.default_rng(i).uniform(0, 255, (3, 4, 3)).astype(np.float32)
  return np.clip(cv2.resize(grid, (56, 40), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def photographs(count: int = 8, height: int = 48, width: int = 64) -> np.ndarray:
  """Smooth images with every colour, uint8 [count, height, width, 3]."""
  grids = np.random.default_rng(0).uniform(0, 255, (count, 6, 8, 3)).astype(np.float32)
  images = [cv2.resize(g, (width, height), interpolation=cv2.INTER_CUBIC) for g in grids]
  return np.clip(images, 0, 255).astype(np.uint8)
