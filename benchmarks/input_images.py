"""Photographs for the input benchmark: JPEGs of the size and weight of dermoscopic images."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds

HEIGHT, WIDTH = 450, 600


class DermoscopicJpegs(tfds.core.GeneratorBasedBuilder):
  """Drawn lesions as JPEGs with the features of the project's data sets."""

  VERSION = tfds.core.Version('1.0.0')

  def __init__(self, *, images: int = 512, quality: int = 95, **kwargs: Any):
    self._images = images
    self._quality = quality
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    features = tfds.features.FeaturesDict(
      {
        'image': tfds.features.Image(shape=(None, None, 3), encoding_format='jpeg'),
        'label': tfds.features.ClassLabel(names=['benign', 'malignant']),
        'image_id': tfds.features.Text(),
        'group_id': tfds.features.Text(),
        'fold': np.int32,
      }
    )
    return tfds.core.DatasetInfo(builder=self, features=features)

  def _split_generators(self, dl_manager: object) -> dict:
    return {'train': self._generate_examples()}

  def _generate_examples(self):
    parameters = [cv2.IMWRITE_JPEG_QUALITY, self._quality]
    for i in range(self._images):
      _, data = cv2.imencode('.jpg', draw(i), parameters)
      name = f'image_{i:06d}'
      yield (
        name,
        {
          'image': data.tobytes(),
          'label': i % 2,
          'image_id': name,
          'group_id': name,
          'fold': np.int32(0),
        },
      )


def draw(seed: int) -> np.ndarray:
  """A lesion on mottled skin with hairs, vignette and sensor noise, uint8 [450, 600, 3]."""
  rng = np.random.default_rng(seed)
  image = np.tile(np.array([140, 160, 205], np.float32), (HEIGHT, WIDTH, 1))
  image += 8 * _mottle(rng)[..., None]
  y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
  radius = np.hypot(
    (x - WIDTH / 2) / (WIDTH * rng.uniform(0.15, 0.3)),
    (y - HEIGHT / 2) / (HEIGHT * rng.uniform(0.2, 0.35)),
  )
  inside = 1 / (1 + np.exp(12 * (radius + 0.12 * _mottle(rng) - 1)))
  image += inside[..., None] * (15 * _mottle(rng)[..., None] - 90)
  for _ in range(rng.integers(0, 25)):
    steps = rng.normal(0, 25, (8, 2)) + rng.normal(0, 25, (1, 2))
    points = rng.uniform(0, 1, (1, 2)) * [WIDTH, HEIGHT] + np.cumsum(steps, axis=0)
    colour = (40, 45, 60)
    cv2.polylines(image, [points.astype(np.int32)], False, colour, 2, cv2.LINE_AA)
  image *= (1 - 0.35 * ((x / WIDTH - 0.5) ** 2 + (y / HEIGHT - 0.5) ** 2))[..., None]
  image += rng.normal(0, 4, image.shape)
  return np.clip(image, 0, 255).astype(np.uint8)


def _mottle(rng: np.random.Generator) -> np.ndarray:
  """Smooth noise of several scales, as skin has."""
  total = np.zeros((HEIGHT, WIDTH), np.float32)
  for cells in (8, 16, 32, 64, 128):
    grid = rng.normal(0, 1, (cells * 3 // 4, cells)).astype(np.float32)
    grid *= np.float32((8 / cells) ** 0.7)
    total += cv2.resize(grid, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
  return total
