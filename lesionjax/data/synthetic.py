"""Generated images beside real ones: mixed into the training split, kept out of everything else."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from data_builders import generated
from data_builders.cleaning.pipeline import Pipeline
from data_builders.errors import UserError
from lesionjax.data import datasets
from lesionjax.data.datasets import preprocessing_of
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


def check_alike(folder: str, preprocessing: Pipeline, size_px: int) -> None:
  """Refuses generated images of a look that real ones do not have: it would tell their classes.

  Args:
    folder: what `--mode=generate` wrote: its --out.
    preprocessing: of the run's own images.
    size_px: the longer side of what the run's network sees; a set of fewer pixels is enlarged,
      which is told.

  Raises:
    UserError: the generator learned from images that were preprocessed in another way, or nothing
      says in which.
  """
  about = metadata(folder)
  theirs = about.get('preprocessing')
  if theirs is None and 'trained_on' in about:  # written before the preprocessing was
    name, _, configurations = about['trained_on'].split(' ')[0].partition('/')
    config = configurations.split('+')[0]
    theirs = preprocessing_of(f'{name.split("+")[0]}/{config}' if config else name).name
  if theirs != preprocessing.name:
    raise UserError(
      f'config.data.synthetic={folder!r} holds images by a generator whose training images were'
      f' preprocessed {_way(theirs)}, and those of this run are {_way(preprocessing.name)}'
      ' (config.data.name, config.data.preprocess), so that the look alone would tell which are'
      ' generated: train generator and classifier on the same configuration of a data set.'
    )
  made_px = about.get('size_px')
  if made_px and made_px < size_px:
    print(
      f'The generated images of {folder} have {made_px} px and are enlarged to {size_px}: a'
      ' classifier may tell them from real ones by their blur.'
    )


def _way(preprocessing: str | None) -> str:
  if preprocessing is None:
    return 'in a way that was not written down'
  return f'as {preprocessing!r}' if preprocessing else 'not at all'


def mix(train: Split, folder: str, share: float = 1.0) -> Split:
  """Adds generated images to a training split.

  Args:
    train: real images.
    folder: what `--mode=generate` wrote: its --out.
    share: of the generated images of every class, in (0, 1]; a hash of the id says which.

  Returns:
    The real images in their order, then the generated ones; classes are those of `train`.

  Raises:
    UserError: the folder holds no generated data set, classes that the run does not know, or so
      few images of a class that the share leaves none.
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
  chosen = _share(labels, made.image_ids, share, train.class_names)
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


def _share(
  labels: np.ndarray, image_ids: np.ndarray, share: float, class_names: Sequence[str]
) -> np.ndarray:
  """Rows of the first images of every class by the hash of their id."""
  ranks = [hashlib.blake2b(name.encode()).digest() for name in image_ids.tolist()]
  order = np.array(sorted(range(len(ranks)), key=ranks.__getitem__), np.int64)
  rows = []
  for label in np.unique(labels):
    mine = order[labels[order] == label]
    count = round(share * len(mine))
    if not count:
      raise UserError(
        f'config.data.synthetic_share={share:g} leaves none of the {len(mine)} generated images of'
        f' {class_names[label]!r}: use at least {1 / len(mine):.2g}, or generate without that'
        ' class.'
      )
    rows.append(mine[:count])
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
  """Returns what `--mode=generate` wrote beside the images: generator, counts, preprocessing.

  Raises:
    UserError: there are no such images in the folder.
  """
  _check(folder)
  return dict(datasets.open_builder(generated.NAME, folder).info.metadata or {})


def _check(folder: str) -> None:
  if not is_there(folder):
    raise UserError(
      f'config.data.synthetic={folder!r} holds no {generated.NAME}: give the --out of'
      ' --mode=generate.'
    )
