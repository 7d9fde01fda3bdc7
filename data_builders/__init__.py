"""TFDS builders for dermoscopy, usable from any project: neither jax nor TensorFlow is imported.

`import data_builders` makes the data sets known to TFDS by name, so that
`tfds.builder('ham10000')` and `tfds.data_source('ham10000', split='train')` work. A builder's
module is imported only when its name is asked for.
"""

from __future__ import annotations

import importlib

from tensorflow_datasets.core import registered

DATASETS = ('ham10000', 'isic2018_task1', 'isic2019', 'isic2020', 'synthetic_dermoscopy')
"""Names of the data sets in this package."""


class _Provider:
  """Finds the builders of this package for TFDS, importing them on first use."""

  def has_dataset(self, name: str) -> bool:
    return name in DATASETS

  def get_builder_cls(self, name: str) -> type[registered.RegisteredDataset]:
    return importlib.import_module(f'{__name__}.{name}.{name}_dataset_builder').Builder


# First in line: the providers behind it import every builder of TFDS to look for a name.
registered.add_dataset_builder_provider(_Provider(), index=0)
