"""config.phases -> the settings of every phase, each with a complete configuration of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.data.augment import AugmentOptions
from lesionjax.models import parts
from lesionjax.training import freezing
from lesionjax.training.checkpoints import shapes

WORDS = ('head', 'last_block', 'all')
START_FROM = ('last', 'best')

_OWN: dict[str, Any] = {
  'name': '',
  'epochs': None,
  'trainable': 'all',
  'frozen': (),
  'freeze_batch_stats': True,
  'cache_features': False,
  'start_from': 'last',
  'reinit_head': False,
}

# Sections whose keys a phase may change, and which of them; None is all. Everything else is the
# run's: what the state holds, what a batch is, what selects the checkpoint.
_SECTIONS: dict[str, tuple[str, ...] | None] = {
  'augment': None,
  'optimiser': None,
  'schedule': None,
  'select': ('patience_epochs',),
  'data': ('sampling', 'resample', 'resample_neighbours'),
  'train': (
    'label_smoothing',
    'clip_norm',
    'loss',
    'class_weights',
    'effective_beta',
    'focal_gamma',
    'logit_adjustment',
    'ldam_margin',
  ),
}


@dataclasses.dataclass(frozen=True)
class Phase:
  """Settings of a phase; see `config.phases` in configs/base.py.

  Attributes:
    name: unique in the run; '' where the run has only one phase, unnamed.
    config: the run's configuration with what the phase changes, and without phases.
    trainable: a word of `WORDS` or patterns.
    frozen: patterns, or empty.
    freeze_batch_stats: whether the frozen part runs in evaluation mode.
    cache_features: whether the head trains on stored features.
    start_from: whose weights the phase starts from, of the 'last' epoch or the 'best'.
    reinit_head: whether the head is drawn anew at the start.
    key: in the configuration, for messages.
  """

  name: str
  config: ConfigDict
  trainable: str | tuple[str, ...] = 'all'
  frozen: tuple[str, ...] = ()
  freeze_batch_stats: bool = True
  cache_features: bool = False
  start_from: str = 'last'
  reinit_head: bool = False
  key: str = 'config'


def phases_of(config: ConfigDict) -> tuple[Phase, ...]:
  """Returns the phases of a run, the keys outside `config.phases` filled in where they say nothing.

  Args:
    config: the complete configuration.

  Raises:
    UserError: naming the phase, the key and what is allowed.
  """
  if not config.phases:
    phase = Phase('', config)
    _check_resample(phase)
    return (phase,)
  phases: list[Phase] = []
  for index, values in enumerate(config.phases):
    phase = _phase(config, values, index)
    if phase.name in [other.name for other in phases]:
      raise UserError(f'{phase.key}.name={phase.name!r} is the name of an earlier phase, too.')
    if phase.start_from == 'best' and index == 0:
      raise UserError(
        f"{phase.key}.start_from='best' has no effect on the first phase, before which there is no "
        "epoch: leave it 'last'."
      )
    if phase.reinit_head and index == 0:
      raise UserError(
        f'{phase.key}.reinit_head=True has no effect on the first phase, whose head is drawn unless'
        " config.init_head='keep': leave it out."
      )
    _check_resample(phase)
    phases.append(phase)
  return tuple(phases)


def _phase(config: ConfigDict, values: Any, index: int) -> Phase:
  key = f'config.phases[{index}]'
  if not isinstance(values, Mapping | ConfigDict):
    raise UserError(f'{key}={values!r} must be a dictionary such as {{"trainable": "head"}}.')
  values = dict(values)
  for name in values:
    if name not in _OWN and name not in _SECTIONS:
      raise UserError(f'{key}.{name} is not one of {", ".join((*_OWN, *_SECTIONS))}.')
  own = {**_OWN, 'name': f'phase{index + 1}'} | {k: v for k, v in values.items() if k in _OWN}
  _check_own(own, key)
  merged = ConfigDict(config.to_dict())  # unlike a copy, without references to the run's
  merged.phases = ()
  if own['epochs'] is not None:
    merged.train.epochs = own['epochs']
  for section in _SECTIONS:
    if not isinstance(values.get(section, {}), Mapping | ConfigDict):
      raise UserError(f'{key}.{section}={values[section]!r} must be a dictionary.')
  for section, names in _SECTIONS.items():
    allowed = names or tuple(merged[section])
    for name, value in dict(values.get(section, {})).items():
      if name not in allowed:
        raise UserError(f'{key}.{section}.{name} is not one of {", ".join(allowed)}.')
      try:
        merged[section][name] = value
      except TypeError as error:
        raise UserError(
          f'{key}.{section}.{name}={value!r} must be of the kind of {merged[section][name]!r}.'
        ) from error
  try:
    config_lib.validate(merged.lock())
  except UserError as error:
    raise UserError(f'Phase {own["name"]!r} ({key}): {error}') from error
  return Phase(
    own['name'],
    merged,
    own['trainable'] if isinstance(own['trainable'], str) else tuple(own['trainable']),
    tuple(own['frozen']),
    own['freeze_batch_stats'],
    own['cache_features'],
    own['start_from'],
    own['reinit_head'],
    key,
  )


def _check_own(own: dict[str, Any], key: str) -> None:
  if not isinstance(own['name'], str) or not own['name']:
    raise UserError(f'{key}.name={own["name"]!r} must be a word, or absent.')
  if own['start_from'] not in START_FROM:
    raise UserError(f"{key}.start_from={own['start_from']!r} is not one of 'last', 'best'.")
  epochs = own['epochs']
  if epochs is not None and (isinstance(epochs, bool) or not isinstance(epochs, int)):
    raise UserError(f'{key}.epochs={epochs!r} must be a whole number, or absent.')
  for name in ('freeze_batch_stats', 'cache_features', 'reinit_head'):
    if not isinstance(own[name], bool):
      raise UserError(f'{key}.{name}={own[name]!r} must be True or False.')
  for name, words in (('trainable', WORDS), ('frozen', ())):
    value = own[name]
    if isinstance(value, str) and value in words:
      continue
    is_list = isinstance(value, tuple | list)
    if not is_list or not all(isinstance(pattern, str) for pattern in value):
      known = ', '.join(map(repr, words)) + ' or ' if words else ''
      raise UserError(
        f'{key}.{name}={value!r} must be {known}a tuple of regular expressions over whole paths of '
        "parameters, such as ('head/.*',)."
      )


def _check_resample(phase: Phase) -> None:
  """Rows in feature space are made of features, which only a phase that stores them has."""
  data = phase.config.data
  if data.resample != 'none' and data.resample_space == 'features' and not phase.cache_features:
    where = f'Phase {phase.name!r} ({phase.key})' if phase.name else 'A run without config.phases'
    raise UserError(
      f'{where} has no features for config.data.resample={data.resample!r}: give it to a phase with'
      " cache_features=True, in that phase's data, or set config.data.resample_space='pixels'."
    )


def trainable_paths(phase: Phase, model: Any) -> frozenset[str] | None:
  """Returns which parameters a phase trains.

  Args:
    phase: its settings.
    model: the network; only the names of its parameters matter.

  Returns:
    Their '/'-joined paths; None is all of them.

  Raises:
    UserError: on patterns that match nothing, a parameter of no or two groups, and where features
      cannot be cached.
  """
  if phase.trainable == 'all' and not (phase.frozen or phase.cache_features or phase.reinit_head):
    return _nothing_frozen(phase)
  size = config_lib.image_size(phase.config)
  image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
  variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), image)
  paths = list(shapes(variables['params']))
  if phase.trainable == 'all':
    patterns: tuple[str, ...] = ('.*',)
  elif phase.trainable == 'head':
    patterns = parts.HEAD
  elif phase.trainable == 'last_block':
    patterns = (*parts.last_block(model), *parts.HEAD)
  else:
    patterns = tuple(phase.trainable)
  found = freezing.select(paths, patterns, phase.frozen, phase.key)
  if phase.cache_features:
    _check_cacheable(phase, found)
  if phase.reinit_head and not any(path.startswith('head/') for path in found):
    raise UserError(
      f'{phase.key}.reinit_head=True draws a head anew that the phase does not train: leave it out,'
      " or set trainable='head'."
    )
  if len(found) < len(paths):
    return found
  return _nothing_frozen(phase)


def _nothing_frozen(phase: Phase) -> None:
  if not phase.freeze_batch_stats:
    raise UserError(
      f'{phase.key}.freeze_batch_stats=False has no effect where every parameter trains: leave it '
      'out, or freeze a part with trainable.'
    )


def _check_cacheable(phase: Phase, trainable: frozenset[str]) -> None:
  """Refuses to store features that would be others in the next epoch."""
  for path in sorted(trainable):
    if not path.startswith('head/'):
      raise UserError(
        f'{phase.key}.cache_features=True trains the head alone, but the parameter {path!r} of its '
        "features is trainable: set trainable='head', or cache_features=False."
      )
  if not phase.freeze_batch_stats:
    raise UserError(
      f'{phase.key}.cache_features=True does not go with freeze_batch_stats=False, which changes '
      'the features at every step: leave one out.'
    )
  options, off = augment_options(phase.config), AugmentOptions()
  if options.moves_pixels or options.changes_colour or options.noise_std:
    names = [
      field.name
      for field in dataclasses.fields(options)
      if field.name not in ('border', 'crop_aspect')
      and not np.array_equal(getattr(options, field.name), getattr(off, field.name))
    ]
    raise UserError(
      f'{phase.key}.cache_features=True needs images that are the same in every epoch, but '
      f'config.augment changes them at random ({", ".join(names)}): switch these off in '
      f'{phase.key}.augment, or set cache_features=False.'
    )


def augment_options(config: ConfigDict) -> AugmentOptions:
  """Returns `config.augment` as the options of `augment`.

  Raises:
    UserError: on a key that is none, or a value out of range.
  """
  given = config.augment.to_dict()
  known = [field.name for field in dataclasses.fields(AugmentOptions)]
  for key in given:
    if key not in known:
      raise UserError(f'config.augment.{key} is not one of {", ".join(known)}.')
  values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
  return AugmentOptions(**values)
