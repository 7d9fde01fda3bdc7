"""Checks of `config.gan` and of what a generator's run may not ask for."""

from __future__ import annotations

import math
from typing import Any

from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax.training import adversarial_losses, diffaugment

# As configs/base.py has them: what runs of earlier versions are taken to have said.
DEFAULTS: dict[str, Any] = {
  'latent': 128,
  'loss': 'hinge',
  'discriminator_learning_rate': 4e-4,
  'discriminator_steps': 1,
  'r1': 0.0,
  'r1_every': 16,
  'augment': diffaugment.NAMES,
  'augment_strength': 1.0,
  'grid_columns': 10,
  'judge': '',
  'judge_images': 1000,
}
CHOICES = {'gan.loss': tuple(adversarial_losses.LOSSES)}
RANGES = {
  'gan.latent': (1, 4096),
  'gan.discriminator_steps': (1, 16),
  'gan.r1': (0.0, 1e4),
  'gan.r1_every': (1, 1000),
  'gan.augment_strength': (0.0, 1.0),
  'gan.grid_columns': (1, 40),
  'gan.judge_images': (10, 100_000),
}

# What a judge measures after every epoch, and what is known without one.
JUDGED = ('fid', 'kid', 'judge_recall')
_ALWAYS = ('latest', 'loss', 'discriminator_loss', 'real_logit', 'fake_logit')

# What is neither used nor harmless when a generator trains, with the value that says nothing.
_UNUSED = {
  'train.loss': 'cross_entropy',
  'train.label_smoothing': 0.0,
  'train.class_weights': 'none',
  'train.accumulate': 1,
  'data.lesion': 'none',
  'model.pretrained': '',
}


def validate(config: ConfigDict) -> None:
  """Refuses values and combinations that cannot work with config.task='generate'.

  Args:
    config: the complete configuration.

  Raises:
    UserError: naming the key, its value and what is allowed.
  """
  gan = config.gan
  for key, wanted in _UNUSED.items():
    section, name = key.split('.')
    found = config[section].get(name, wanted)
    if found != wanted:
      raise UserError(
        f"config.{key}={found!r} has no effect with config.task='generate': set it to {wanted!r}."
      )
  if config.phases or config.init_head == 'reinit':
    raise UserError(
      "config.phases and config.init_head='reinit' are for networks with a head: leave them out"
      " with config.task='generate'."
    )
  if config.data.height_px not in (0, config.data.size_px):
    raise UserError(
      f'config.data.height_px={config.data.height_px} must be 0: generated images are squares of'
      ' config.data.size_px.'
    )
  halves = (0.5, 0.5, 0.5)
  if tuple(config.normalise.mean) != halves or tuple(config.normalise.std) != halves:
    raise UserError(
      f'config.normalise has mean {tuple(config.normalise.mean)} and std'
      f' {tuple(config.normalise.std)}, but generated colours lie in [-1, 1]: set both to {halves}.'
    )
  if config.schedule.name == 'plateau':
    raise UserError(
      "config.schedule.name='plateau' waits for a lower loss, which means nothing of a generator:"
      " use 'constant' or another with config.task='generate'."
    )
  _validate_gan(gan, config.train.batch_size)


def validation_metrics(config: ConfigDict) -> set[str]:
  """Names of what is measured after every epoch, which `config.select.metric` may name."""
  return {*_ALWAYS, *JUDGED} if config.gan.judge else set(_ALWAYS)


def _validate_gan(gan: ConfigDict, batch_size: int) -> None:
  if not 0 < gan.discriminator_learning_rate < math.inf:
    raise UserError(
      f'config.gan.discriminator_learning_rate={gan.discriminator_learning_rate!r} must be above 0'
      ' and finite.'
    )
  for name in gan.augment:
    if name not in diffaugment.NAMES:
      raise UserError(
        f'config.gan.augment={tuple(gan.augment)!r}: {name!r} is not one of'
        f' {", ".join(map(repr, diffaugment.NAMES))}.'
      )
  if batch_size % gan.discriminator_steps:
    raise UserError(
      f'config.train.batch_size={batch_size} must be a multiple of config.gan.discriminator_steps='
      f'{gan.discriminator_steps}: every update of the discriminator takes its own part.'
    )
