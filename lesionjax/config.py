"""Checks of a configuration before anything is built, and its plain form on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from data_builders import labels
from data_builders.cleaning import pipeline
from data_builders.errors import UserError
from lesionjax.config_values import CHOICES, LATER, RANGES
from lesionjax.data import background, unknown_classes
from lesionjax.data.datasets import names_of, preprocessing_of
from lesionjax.data.lesion import Lesion
from lesionjax.generation import gan_config
from lesionjax.models.heads import COSINE_SCALE, HEADS
from lesionjax.training import losses
from lesionjax.training.segmentation_losses import LOSSES as MASK_LOSSES

# Where a run lies and how often it speaks may change between two starts; its numbers do not depend
# on these.
PLACE_KEYS = (
  'data.data_dir',
  'data.manual_dir',
  'data.num_threads',
  'data.input',
  'num_devices',
  'log.every_steps',
  'checkpoint.every_steps',
)


def flatten(config: Mapping[str, Any] | ConfigDict, prefix: str = '') -> Iterator[tuple[str, Any]]:
  """Yields (dotted key, value) of every leaf, in the order of the keys' names."""
  for key in sorted(config):
    value = config[key]
    if isinstance(value, Mapping | ConfigDict) and len(value):
      yield from flatten(value, f'{prefix}{key}.')
    else:
      yield f'{prefix}{key}', value


def validate(config: ConfigDict) -> None:
  """Refuses values and combinations that cannot work, before anything is written.

  Args:
    config: the complete configuration, as `configs/base.py` lays it down.

  Raises:
    UserError: naming the key, its value and what is allowed.
  """
  values = dict(flatten(config))
  for key, allowed in CHOICES.items():
    if values[key] not in allowed:
      raise UserError(
        f'config.{key}={values[key]!r} is not one of {", ".join(map(repr, allowed))}.'
      )
  for key, (lowest, highest) in RANGES.items():
    # Written so that NaN is refused.
    if not (values[key] >= lowest and (highest is None or values[key] <= highest)):
      bound = f'at least {lowest}' if highest is None else f'from {lowest} to {highest}'
      raise UserError(f'config.{key}={values[key]!r} must be {bound}.')
  if not 0 < values['optimiser.learning_rate'] < math.inf:
    raise UserError(
      f'config.optimiser.learning_rate={values["optimiser.learning_rate"]!r} must be above 0 and '
      'finite.'
    )
  _validate_task(config)
  _validate_images(config.data)
  unknown_classes.validate(config.data, config.task)
  _validate_normalise(config.normalise)
  names_of(config.data.name)
  pipeline.parse(config.data.preprocess)
  background.check(config, preprocessing_of(config.data.name, config.data.preprocess))
  if config.data.classes not in ('', *labels.SCHEMES):
    raise UserError(
      f"config.data.classes={config.data.classes!r} is not one of '' (the own classes),"
      f' {", ".join(labels.SCHEMES)}.'
    )
  _validate_loss(config)
  _validate_resample(config)
  _validate_synthetic(config)
  _validate_start(config)


def _validate_start(config: ConfigDict) -> None:
  """What the schedule and the weights begin with must fit together."""
  if config.schedule.name == 'one_cycle' and config.schedule.warmup_epochs:
    raise UserError(
      f'config.schedule.warmup_epochs={config.schedule.warmup_epochs} has no effect with '
      "config.schedule.name='one_cycle', which warms up by itself: set it to 0."
    )
  if bool(config.init_from) != bool(config.init_head):
    raise UserError(
      f'config.init_from={config.init_from!r} and config.init_head={config.init_head!r} go '
      "together: give a run directory and say 'keep' or 'reinit', or leave both empty."
    )
  if config.init_head not in ('', 'keep', 'reinit'):
    raise UserError(f"config.init_head={config.init_head!r} is not one of 'keep', 'reinit'.")


def _validate_loss(config: ConfigDict) -> None:
  """Settings that the loss does not look at must say nothing; parts of a batch are equal."""
  train = config.train
  if train.batch_size % train.accumulate:
    raise UserError(
      f'config.train.batch_size={train.batch_size} must be a multiple of '
      f'config.train.accumulate={train.accumulate}.'
    )
  if train.loss != 'cross_entropy' and train.label_smoothing:
    raise UserError(
      f'config.train.label_smoothing={train.label_smoothing} has no effect with'
      f' config.train.loss={train.loss!r}: set it to 0.'
    )
  if train.loss != 'bce' and train.pos_weight != 1:
    raise UserError(
      f'config.train.pos_weight={train.pos_weight} has no effect with config.train.loss='
      f"{train.loss!r}: set it to 1, or the loss to 'bce'."
    )
  if train.class_weights != 'none' and train.loss not in losses.WEIGHTED:
    raise UserError(
      f'config.train.class_weights={train.class_weights!r} does not go with'
      f" config.train.loss={train.loss!r}: set it to 'none', or the loss to one of"
      f' {", ".join(map(repr, losses.WEIGHTED))}.'
    )
  head = config.model.arguments.get('head', 'linear')
  if train.loss == 'ldam' and not str(head).endswith('cosine'):
    raise UserError(
      f"config.train.loss='ldam' takes margins off cosines, and the logits of"
      f' config.model.arguments.head={head!r} are none: set the head to one of'
      f' {", ".join(repr(name) for name in HEADS if name.endswith("cosine"))}.'
    )


def _validate_synthetic(config: ConfigDict) -> None:
  """Generated images are as the generator makes them: nothing can be cut out of them or cleaned."""
  if not config.data.synthetic:
    return
  for key, wanted in (('task', 'classify'), ('data.lesion', 'none'), ('data.preprocess', '')):
    found = dict(flatten(config))[key]
    if found != wanted:
      raise UserError(
        f'config.data.synthetic={config.data.synthetic!r} goes with config.{key}={wanted!r} only,'
        f' not with {found!r}: change one of them (a data set may be built with its preprocessing).'
      )


def _validate_task(config: ConfigDict) -> None:
  """Loss, sampling and view of the lesion must be such as the task has."""
  if config.task == 'generate':
    gan_config.validate(config)
    return
  allowed = losses.NAMES if config.task == 'classify' else tuple(MASK_LOSSES)
  if config.train.loss not in allowed:
    raise UserError(
      f'config.train.loss={config.train.loss!r} is not one of {", ".join(map(repr, allowed))}, the'
      f' losses of config.task={config.task!r}.'
    )
  if config.data.lesion == 'attention' and any(p.get('cache_features') for p in config.phases):
    raise UserError(
      "config.data.lesion='attention' teaches the last map, which phases with cache_features do not"
      ' compute: leave cache_features out.'
    )
  if config.task == 'classify':
    return
  if config.init_head == 'reinit':
    raise UserError(
      "config.init_head='reinit' is for classifiers: a segmenter has no head of classes, so set it"
      " to 'keep'."
    )
  if config.data.lesion != 'none':
    raise UserError(
      f"config.data.lesion={config.data.lesion!r} is for classifiers: with config.task='segment'"
      " the mask is what is learned, so set it to 'none'."
    )
  if any(phase.get('reinit_head') for phase in config.phases):
    raise UserError(
      'config.phases with reinit_head is for classifiers, which have a head: leave it out.'
    )
  if any(phase.get('cache_features') for phase in config.phases):
    raise UserError(
      "config.phases with cache_features is for classifiers: a segmenter's decoder needs more than"
      ' the last features; leave it out.'
    )


def _validate_resample(config: ConfigDict) -> None:
  """What is resampled must have a class, lie in memory, and be an image only."""
  data = config.data
  if data.resample == 'none':
    return
  told = f'config.data.resample={data.resample!r}'
  if config.task != 'classify':
    raise UserError(
      f"{told} is for classifiers: with config.task={config.task!r} set it to 'none'."
    )
  if data.resample_space != 'pixels':
    return  # which phase has features is checked with the phases
  if data.input == 'stream':
    raise UserError(
      f"{told} with config.data.resample_space='pixels' needs all images in memory: set"
      " config.data.input='ram' or 'device'."
    )
  if data.lesion == 'attention':
    raise UserError(
      f"{told} with config.data.resample_space='pixels' cannot mix the masks of"
      " config.data.lesion='attention': resample in feature space, or leave one out."
    )


def _validate_images(data: ConfigDict) -> None:
  """Size, view of the lesion and folds must be such as images can have."""
  lowest = RANGES['data.size_px'][0]
  if 0 < data.height_px < lowest:
    raise UserError(
      f'config.data.height_px={data.height_px} is below {lowest}, the smallest height there is: set'
      ' it higher, or to 0 for a square.'
    )
  Lesion(data.lesion, data.lesion_masks, data.lesion_margin)  # refuses what it cannot be
  folds = data.leave_out_folds
  if not isinstance(folds, tuple | list) or not all(
    isinstance(fold, int) and not isinstance(fold, bool) and 0 <= fold <= 9 for fold in folds
  ):
    raise UserError(
      f'config.data.leave_out_folds={folds!r} must be a tuple of folds, whole numbers from 0 to 9,'
      ' such as (0, 3): name folds of the training split, or leave it empty.'
    )


def image_size(config: ConfigDict) -> tuple[int, int]:
  """Returns height and width, in px, of what the network sees."""
  return config.data.height_px or config.data.size_px, config.data.size_px


def _validate_normalise(normalise: ConfigDict) -> None:
  for name, values in normalise.items():
    if len(values) != 3 or not all(math.isfinite(value) for value in values):
      raise UserError(f'config.normalise.{name}={values!r} must be three numbers, for R, G and B.')
  if not all(value > 0 for value in normalise.std):
    raise UserError(f'config.normalise.std={normalise.std!r} must be above 0.')


def to_dict(config: ConfigDict) -> dict[str, Any]:
  """Returns the configuration as plain JSON types (tuples become lists)."""
  return json.loads(json.dumps(config.to_dict()))


def from_dict(values: Mapping[str, Any]) -> ConfigDict:
  """Returns the locked configuration that `to_dict` wrote; keys that came later are neutral."""
  config = ConfigDict(dict(values))
  _complete(config)
  if config.segmenter is not None:
    _complete(config.segmenter)
  return config.lock()


def _complete(config: ConfigDict) -> None:
  """Adds the keys that came later, with the value that changes nothing; tells a gone one anew."""
  for key, value in LATER.items():
    *sections, name = key.split('.')
    place = config
    for section in sections:
      place = place.get(section, {})
    if name not in place:
      place[name] = value
  train = config.get('train', {})
  if 'ldam_scale' in train:  # the head's own scale now: what counts is margin times scale
    train.ldam_margin *= train.ldam_scale / COSINE_SCALE
    del train['ldam_scale']


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
  """Lists what differs between two plain configurations, places aside.

  Args:
    ours: the configuration that was asked for.
    theirs: the configuration found on disk.

  Returns:
    One `key: asked for A, found B` a difference; empty when a run may be resumed.
  """
  mine, found = dict(flatten(ours)), dict(flatten(theirs))
  return [
    f'{key}: asked for {mine.get(key)!r}, found {found.get(key)!r}'
    for key in sorted({*mine, *found})
    if key.removeprefix('segmenter.') not in PLACE_KEYS and mine.get(key) != found.get(key)
  ]
