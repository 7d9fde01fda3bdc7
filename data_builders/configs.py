"""Builder configurations whose names say what they are: 'grouped-binary-stretch256-hair-clahe'."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import tensorflow_datasets as tfds

from data_builders import labels
from data_builders.cleaning import pipeline
from data_builders.errors import UserError

_SPLITS = {
  'grouped': 'All images of a lesion or patient, and near-duplicates, are in one split and fold.',
  'random': 'Images are split one by one with the same shares. Lesions and patients leak from train'
  ' to test: only for reproducing published protocols that did the same.',
}
_BINARY = 'binary'
BINARY_MAP = {
  name: target
  for name in (*labels.COARSER_NAMES, *labels.SCHEMES['binary'])
  if (target := labels.counterpart(name, labels.SCHEMES['binary']))
}
"""Published class -> 'benign' or 'malignant'; `unk` is neither."""


@dataclasses.dataclass
class DermoscopyConfig(tfds.core.BuilderConfig):
  """How images are split, labelled and preprocessed.

  Attributes:
    by_image: whether images are split one by one; else by lesion or patient.
    class_map: published class -> class; None keeps the published ones. A class that is not in the
      map is without label (-1), which only official test images may be.
    preprocessing: a pipeline as in `data_builders.cleaning.pipeline`, paid once, when building.
  """

  by_image: bool = False
  class_map: Mapping[str, str] | None = None
  preprocessing: str = ''

  def __post_init__(self) -> None:
    pipeline.parse(self.preprocessing)

  def class_names(self, published: Sequence[str]) -> tuple[str, ...]:
    """Returns the classes of this configuration, in label order."""
    if self.class_map is None:
      return tuple(published)
    return tuple(sorted({self.class_map[name] for name in published if name in self.class_map}))

  def label(self, name: str, published: Sequence[str]) -> int:
    """Returns the label of a published class, -1 where it has none."""
    mapped = name if self.class_map is None else self.class_map.get(name)
    return -1 if mapped is None else self.class_names(published).index(mapped)


def parse(name: str, binary: bool = True) -> DermoscopyConfig:
  """Returns the configuration of a name: the split, the classes, then the preprocessing.

  Args:
    name: 'grouped' or 'random', then optionally 'binary', then the steps of a pipeline, all joined
      by '-'.
    binary: whether the data set has diagnoses that can be told in two classes.

  Raises:
    UserError: a part of the name is unknown; tells what is allowed.
  """
  split, *rest = name.split('-')
  if split not in _SPLITS:
    raise UserError(
      f"Config '{name}' begins with '{split}', which is no way to split; it must begin with"
      f' {" or ".join(_SPLITS)}.'
    )
  if '' in rest:
    raise UserError(f"Config '{name}' has an empty part: remove the '-' too many.")
  description = _SPLITS[split]
  class_map = None
  if rest and rest[0] == _BINARY:
    if not binary:
      raise UserError(
        f"Config '{name}': this data set has no other classes; leave out '{_BINARY}'."
      )
    class_map = BINARY_MAP
    description += ' Labels are benign or malignant.'
    rest = rest[1:]
  steps = pipeline.parse('-'.join(rest)).name
  if steps:
    description += f' Images are preprocessed: {steps}, encoded as JPEG of quality 95.'
  return DermoscopyConfig(
    name=name,
    description=description,
    by_image=split == 'random',
    class_map=class_map,
    preprocessing=steps,
  )


def listed(*names: str, binary: bool = True) -> list[DermoscopyConfig]:
  """Returns the configurations that TFDS lists; any other name that `parse` reads works too."""
  return [parse(name, binary) for name in names]
