"""The data of a run: from its configuration to splits, descriptions and batches."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax.config import image_size
from lesionjax.data import background, masks, memory, synthetic, unknown_classes
from lesionjax.data.datasets import names_of, open_split, preprocessing_of, provenance
from lesionjax.data.features import feature_stream
from lesionjax.data.lesion import Lesion, uses_masks
from lesionjax.data.records import Split
from lesionjax.data.stream import eval_stream, to_device, train_stream
from lesionjax.training.mesh import Mesh


def ensure_data(config: ConfigDict) -> None:
  """Builds the data set where it is missing and that needs no download.

  That is: a synthetic one, or one whose archives `config.data.manual_dir` holds.
  """
  from data_builders.build import prepare

  for name in names_of(config.data.name):
    if config.data.manual_dir or name.startswith('synthetic'):
      prepare(name, config.data.data_dir or None, manual_dir=config.data.manual_dir or None)


def open_training_data(config: ConfigDict) -> Split:
  """Opens what a run trains on: real images, then the generated ones of `config.data.synthetic`."""
  split = open_real_training_data(config)
  if config.data.synthetic:
    split = synthetic.mix(split, config.data.synthetic, config.data.synthetic_share)
  return split


def open_real_training_data(config: ConfigDict) -> Split:
  """Opens the training split without the folds that `config.data.leave_out_folds` names."""
  split = open_data(config, config.data.train_split)
  if config.data.lesion == 'attention':  # masks in training only
    split = dataclasses.replace(split, with_masks=True)
  folds = set(split.folds.tolist())
  absent = sorted(set(config.data.leave_out_folds) - folds)
  if absent:
    raise UserError(
      f'config.data.leave_out_folds={config.data.leave_out_folds}: the training split has no fold'
      f' {absent[0]}, its folds are {", ".join(map(str, sorted(folds)))}; name some of these.'
    )
  left_out = np.isin(split.folds, list(config.data.leave_out_folds))
  if left_out.all():
    raise UserError(
      f'config.data.leave_out_folds={config.data.leave_out_folds} leaves nothing of the training'
      f' split, whose folds are {sorted(folds)}: leave out fewer.'
    )
  return split.take(~left_out) if left_out.any() else split


def open_data(config: ConfigDict, split: str, name: str = '') -> Split:
  """Opens a split of the run's data, or of the data set `name` with that one's own classes.

  Images of `config.data.leave_out_classes` are not in the splits for training and validation, and
  have the label -1 in all others.
  """
  found = _open_marked(config, split, name)
  learned_from = not name and split in (config.data.train_split, config.data.validation_split)
  if learned_from and config.data.leave_out_classes:
    return found.take(found.labels >= 0)
  return found


def _open_marked(config: ConfigDict, split: str, name: str) -> Split:
  """Opens a split whose images of left-out classes have the label -1."""
  found = _open_all(config, split, name)
  left_out = config.data.leave_out_classes
  return unknown_classes.mark(found, left_out, other=bool(name)) if left_out else found


def _open_all(config: ConfigDict, split: str, name: str) -> Split:
  background.check(config, preprocessing_of(config.data.name, config.data.preprocess))
  data = config.data
  return open_split(
    name or data.name,
    split,
    config.data.data_dir or None,
    '' if name else config.data.classes,
    config.data.preprocess,
    Lesion(data.lesion, data.lesion_masks, data.lesion_margin, data.background),
    config.task == 'segment',
  )


def names_of_unknown(config: ConfigDict, unknown: Split, name: str = '') -> np.ndarray:
  """What the data call the images that the run knows no class for.

  Args:
    config: of the run.
    unknown: rows of `open_data` whose label is -1.
    name: another data set, or '' for the run's own.

  Returns:
    str [N], a class of `config.data.leave_out_classes` (or one within it), or 'unknown' where the
    data name none.
  """
  found = _open_all(config, unknown.split, name)
  told = np.array([*found.class_names, 'unknown'])[found.labels]
  named = dict(zip(found.image_ids.tolist(), told.tolist(), strict=True))
  return np.array([named[image_id] for image_id in unknown.image_ids.tolist()], np.str_)


def describe_data(config: ConfigDict, name: str = '') -> dict[str, Any]:
  """Returns what a run remembers of its data, or of the data set `name`."""
  data = provenance(
    name or config.data.name,
    config.data.data_dir or None,
    '' if name else config.data.classes,
    config.data.preprocess,
    config.task == 'segment',
  )
  left_out = config.data.leave_out_classes
  if not left_out:
    return data
  splits = {split: _open_marked(config, split, name) for split in data['splits']}
  return unknown_classes.describe(data, splits, left_out)


def describe_masks(config: ConfigDict) -> dict[str, Any]:
  """Returns {'masks': what a run remembers of the folder they come from}; {} without one."""
  if not uses_masks(config.data) or config.data.lesion_masks == 'true':
    return {}
  return {'masks': masks.summary(config.data.lesion_masks)}


def describe_synthetic(config: ConfigDict) -> dict[str, Any]:
  """Returns {'synthetic': what a run remembers of its generated images}; {} without any."""
  if not config.data.synthetic:
    return {}
  return {'synthetic': synthetic.describe(config.data.synthetic)}


def decoded(config: ConfigDict, split: Split) -> np.ndarray | None:
  """Returns all images of a split where `config.data.input` keeps them in memory, else None."""
  if config.data.input == 'stream':
    return None
  return memory.decode_all(split, image_size(config), config.data.num_threads or None)


def train_batches(
  config: ConfigDict,
  split: Split,
  mesh: Mesh,
  pixels: np.ndarray | None = None,
  labels: np.ndarray | None = None,
) -> Any:
  """Returns the endless, resumable iterator of training batches on the devices.

  Args:
    config: of the run.
    split: what it trains on.
    mesh: where the batches go.
    pixels: from `decoded`.
    labels: of all rows of `pixels`, where these go on behind the split's; None is the split's.
  """
  on_device = config.data.input == 'device'
  dataset = train_stream(
    split,
    config.train.batch_size,
    image_size(config),
    config.seed,
    config.data.sampling,
    **_share(config),
    pixels=pixels,
    images=not on_device,
    labels=labels,
  )
  if not on_device:
    # The row number stays on the host: it has 64 bits and the step does not need it.
    dataset = dataset.map(lambda batch: {key: batch[key] for key in ('image', 'label')})
    return iter(to_device(dataset, mesh.batch))
  assert pixels is not None
  resident = memory.place(pixels, mesh.replicated)
  dataset = dataset.map(
    lambda batch: {'index': batch['index'].astype(np.int32), 'label': batch['label']}
  )
  return iter(to_device(dataset, mesh.batch).map(lambda batch: {**batch, 'resident': resident}))


def feature_batches(config: ConfigDict, features: Any, labels: np.ndarray, mesh: Mesh) -> Any:
  """Returns `train_batches` of features instead of images; takes the same positions."""
  share = _share(config)
  dataset = feature_stream(
    features,
    labels,
    config.train.batch_size,
    config.seed,
    config.data.sampling,
    process_index=share['process_index'],
    process_count=share['process_count'],
  )
  return iter(to_device(dataset, mesh.batch))


def eval_batches(
  config: ConfigDict,
  split: Split,
  mesh: Mesh,
  pixels: np.ndarray | None = None,
  labels: np.ndarray | None = None,
) -> Any:
  """Returns the iterator over every image once, on the devices; arguments: `train_batches`."""
  dataset = eval_stream(
    split,
    config.evaluate.batch_size,
    image_size(config),
    **_share(config),
    pixels=pixels,
    labels=labels,
  )
  generates = config.task == 'generate'  # beside every image one of its class

  def choose(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the step reads; the row number has 64 bits, which devices have not."""
    chosen = {key: batch[key] for key in ('image', 'valid')}
    if generates:
      chosen |= {'label': batch['label'], 'index': batch['index'].astype(np.int32)}
    return chosen

  return iter(to_device(dataset.map(choose), mesh.batch))


def _share(config: ConfigDict) -> dict[str, int]:
  """Which part of every batch this process reads, and with how many threads."""
  return {
    'process_index': jax.process_index(),
    'process_count': jax.process_count(),
    'num_threads': config.data.num_threads or os.cpu_count() or 1,
  }
