"""Several data sets as one: common classes, no image twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_builders import labels as labels_lib
from data_builders.errors import UserError
from lesionjax.data.records import Split


def pool(splits: Sequence[Split], classes: str) -> Split:
  """Puts splits of several data sets into one, with common classes and without double images.

  Args:
    splits: one or several, with the classes and labels of their data sets.
    classes: a scheme of `data_builders.labels.SCHEMES`; '' keeps a single data set's classes
      without `unk`, or takes the finest that all have in common.

  Returns:
    One split. Of an image that occurs several times the first is taken that has a label.

  Raises:
    UserError: images have a class that cannot be mapped and belong to no official test set.
  """
  if classes:
    names = labels_lib.SCHEMES[classes]
  elif len(splits) == 1:
    names = tuple(name for name in splits[0].class_names if name.lower() != 'unk')
  else:
    names = labels_lib.common_scheme([split.class_names for split in splits])
  labels = np.concatenate([_mapped(split, names) for split in splits])
  numbers = np.concatenate([np.full(len(split), at) for at, split in enumerate(splits)])
  rows = np.concatenate([split.places[:, 1] for split in splits])
  pooled = Split(
    name='+'.join(split.name for split in splits),
    split=splits[0].split,
    class_names=names,
    labels=labels.astype(np.int32),
    image_ids=np.concatenate([split.image_ids for split in splits]),
    group_ids=np.concatenate([split.group_ids for split in splits]),
    folds=np.concatenate([split.folds for split in splits]),
    sources=tuple(split.sources[0] for split in splits),
    places=np.stack([numbers, rows], axis=1),
    preprocessing=splits[0].preprocessing,
  )
  if len(splits) > 1:
    # Stable: of equal images the one with a label comes first, then the first data set.
    order = np.argsort(pooled.labels < 0, kind='stable')
    _, first = np.unique(pooled.canonical_ids[order], return_index=True)
    pooled = pooled.take(np.sort(order[first]))
  without = np.flatnonzero(pooled.labels < 0)
  if len(without) and not pooled.split.startswith('official'):
    number, row = pooled.places[without[0]].tolist()
    found = splits[number]
    told = found.class_names[found.labels[row]] if found.labels[row] >= 0 else 'none'
    raise UserError(
      f'{len(without)} images of {pooled.name} ({pooled.split}), such as'
      f" {pooled.image_ids[without[0]]} of class '{told}', have no counterpart among the classes"
      f' {", ".join(names)}; choose coarser ones with config.data.classes, of'
      f' {", ".join(labels_lib.SCHEMES)} (fine to coarse), or leave it empty.'
    )
  return pooled


def _mapped(split: Split, names: Sequence[str]) -> np.ndarray:
  """The split's labels as indices into `names`, -1 where there is no counterpart."""
  mapping = labels_lib.map_labels(split.class_names, names, missing=-1)
  return np.where(split.labels < 0, -1, mapping[split.labels])
