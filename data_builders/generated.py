"""The data set of images that a generative model made: written like any other, flagged as such."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_builders import identity, schema, sharded

NAME = 'generated_lesions'
ID_PREFIX = identity.GENERATED_PREFIX

Examples = Callable[[], Iterator[tuple[str, dict[str, Any]]]]


class Builder(tfds.core.ShardBasedBuilder, skip_registration=True):
  """Writes generated images with class, seed and the model they come from.

  It has a training split only, so that nothing can be validated or tested on it by name; readers
  recognise its images by `ID_PREFIX`, and the feature `synthetic` is True for each.

  Args:
    class_names: in label order.
    shards: each yields (image id, record), see `record`.
    metadata: JSON-ready, kept beside the data: what made the images.
    **options: of TFDS, such as `data_dir`.
  """

  name = NAME
  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First version.'}  # noqa: RUF012
  pkg_dir_path = None

  def __init__(
    self,
    *,
    class_names: Sequence[str],
    shards: Sequence[Examples] = (),
    metadata: Mapping[str, Any] | None = None,
    **options: Any,
  ):
    self._class_names = tuple(class_names)
    self._shards = tuple(shards)
    self._metadata = dict(metadata or {})
    super().__init__(**options)

  def _info(self) -> tfds.core.DatasetInfo:
    png = tfds.features.Image(
      shape=(None, None, 3), encoding_format='png', doc='Generated, no photograph.'
    )
    extra = {
      'image': png,
      'synthetic': tfds.features.Scalar(np.bool_, doc='True: no photograph of anybody.'),
      'seed': tfds.features.Scalar(np.int64, doc='Of the series of latent vectors.'),
      'index': tfds.features.Scalar(np.int64, doc='Of the latent vector in the series.'),
      'generator': tfds.features.Text(doc='SHA-256 of the weights that made the image.'),
    }
    return tfds.core.DatasetInfo(
      builder=self,
      description='Images made by a conditional generative model; see metadata.json.',
      features=schema.features(self._class_names, extra=extra),
      supervised_keys=('image', 'label'),
      license='As the images that the model learned from.',
      metadata=tfds.core.MetadataDict(self._metadata),
    )

  def _example_writer(self) -> tfds.core.ExampleWriter:
    file_format: Any = self.info.file_format
    return sharded.StableWriter(file_format=file_format)

  def _shard_iterators_per_split(self, dl_manager: Any) -> Mapping[str, Sequence[Examples]]:
    del dl_manager  # Nothing to download.
    return {'train': list(self._shards)}


def record(
  png: bytes, label: int, class_name: str, seed: int, index: int, generator: str
) -> dict[str, Any]:
  """Returns the record of one generated image.

  Args:
    png: the encoded image.
    label: its class.
    class_name: the name of that, which becomes part of the id.
    seed: of the series of latent vectors.
    index: of its latent vector in the series.
    generator: SHA-256 of the weights, hexadecimal.
  """
  name = f'{ID_PREFIX}{generator[:12]}-{class_name}-{seed}-{index:08d}'
  return {
    **schema.record(name, group_id=name),
    'image': png,
    'label': label,
    'synthetic': True,
    'seed': seed,
    'index': index,
    'generator': generator,
  }
