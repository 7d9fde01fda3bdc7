"""Generated images beside real ones: mixed into the training split, kept out of everything else."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np
from etils import epath

from data_builders import generated
from data_builders.errors import UserError
from lesionjax.data import datasets
from lesionjax.data.records import Split

SEEN = 'seen.json'
"""Beside the data set: the images and groups that the generative model was trained on."""


def is_generated(split: Split) -> np.ndarray:
  """Returns which images of a split no camera made, bool [N]."""
  return np.char.startswith(split.image_ids.astype(np.str_), generated.ID_PREFIX)


def refuse(split: Split, purpose: str) -> None:
  """Stops where a result would be measured on generated images.

  Raises:
    UserError: there are any; says how many.
  """
  found = is_generated(split)
  if found.any():
    raise UserError(
      f'{purpose}: {found.sum()} of the {len(split)} images of {split.name} ({split.split}) are'
      f' generated, such as {split.image_ids[found][0]}, and a result on them says nothing of'
      ' lesions: name real data; generated images go into config.data.synthetic, for training only.'
    )


def mix(train: Split, folder: str, share: float = 1.0) -> Split:
  """Adds generated images to a training split.

  Args:
    train: real images.
    folder: what `--mode=generate` wrote: its --out.
    share: of the generated images of every class, in (0, 1]; a hash of the id says which.

  Returns:
    The real images in their order, then the generated ones; classes are those of `train`.

  Raises:
    UserError: the folder holds no generated data set, or classes that the run does not know.
  """
  made = open_generated(folder)
  unknown = [name for name in made.class_names if name not in train.class_names]
  labels = np.array([
    train.class_names.index(name) if name in train.class_names else -1 for name in made.class_names
  ])[made.labels]  # fmt: skip
  if (labels < 0).any():
    raise UserError(
      f'config.data.synthetic={folder!r} holds images of the class {unknown[0]!r}, which is not one'
      f' of the run, {", ".join(train.class_names)}: generate for this data set and config.data'
      '.classes.'
    )
  chosen = _share(labels, made.image_ids, share)
  made = dataclasses.replace(made, labels=labels.astype(np.int32)).take(chosen)
  places = made.places + np.array([len(train.sources), 0])
  columns = {
    name: np.concatenate([getattr(train, name), getattr(made, name)])
    for name in ('labels', 'image_ids', 'group_ids', 'folds')
  }
  return dataclasses.replace(
    train,
    name=f'{train.name}+{made.name}',
    sources=(*train.sources, *made.sources),
    places=np.concatenate([train.places, places]),
    **columns,
  )


def _share(labels: np.ndarray, image_ids: np.ndarray, share: float) -> np.ndarray:
  """Rows of the first images of every class by the hash of their id."""
  ranks = [hashlib.blake2b(name.encode()).digest() for name in image_ids.tolist()]
  order = np.array(sorted(range(len(ranks)), key=ranks.__getitem__), np.int64)
  rows = []
  for label in np.unique(labels):
    mine = order[labels[order] == label]
    rows.append(mine[: round(share * len(mine))])
  return np.sort(np.concatenate(rows)) if rows else order


def is_there(folder: str) -> bool:
  """Whether a folder holds generated images."""
  return (epath.Path(folder) / generated.NAME).is_dir()


@functools.lru_cache(maxsize=4)
def open_generated(folder: str) -> Split:
  """Opens the images that `--mode=generate` wrote.

  Raises:
    UserError: there are none in the folder.
  """
  _check(folder)
  split = datasets.open_split(generated.NAME, 'train', folder)
  if not is_generated(split).all():
    raise UserError(
      f'config.data.synthetic={folder!r} holds images that are not flagged as generated: take what'
      ' --mode=generate wrote.'
    )
  return split


def describe(folder: str) -> dict[str, Any]:
  """Returns what a run remembers of the generated images: the model that made them, their number.

  Raises:
    UserError: as `open_generated`.
  """
  split = open_generated(folder)
  counts = np.bincount(split.labels, minlength=len(split.class_names)).tolist()
  support = dict(zip(split.class_names, counts, strict=True))
  return {'images': len(split), 'support': support, **metadata(folder)}


def metadata(folder: str) -> dict[str, Any]:
  """Returns what `--mode=generate` wrote beside the images: generator, counts, seed."""
  return dict(datasets.open_builder(generated.NAME, folder).info.metadata or {})


def _check(folder: str) -> None:
  if not is_there(folder):
    raise UserError(
      f'config.data.synthetic={folder!r} holds no {generated.NAME}: give the --out of'
      ' --mode=generate.'
    )
