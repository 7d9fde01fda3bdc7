"""The argument of a recipe: `--config=configs/RECIPE.py:size=96,epochs=20`."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from ml_collections import ConfigDict

from data_builders.errors import UserError

PROTOCOLS = ('rigorous', 'published')
WEIGHTS = ('imagenet', 'run', 'random')
CLEANING = ('hair-clahe', 'hair', 'none')
"""Of images that are stretched to 256x256 when their data set is built; see `cleaned`."""


@dataclasses.dataclass(frozen=True)
class Between:
  """A number that must lie between two others, both allowed; its type is the default's."""

  default: int | float
  low: int | float
  high: int | float


def set_data(config: ConfigDict, name: str, protocol: str, preprocessing: str = '') -> None:
  """Chooses the prepared data set of a protocol: lesions kept together, or images split one by one.

  Args:
    config: of the recipe.
    name: of the builder.
    protocol: of `PROTOCOLS`.
    preprocessing: what the builder did to every image, see `data_builders.cleaning.pipeline`.
  """
  config.protocol = protocol
  split = 'random' if protocol == 'published' else 'grouped'
  config.data.name = f'{name}/{split}' + (f'-{preprocessing}' if preprocessing else '')
  config.data.data_dir = 'data'
  config.data.input = 'ram'


def cleaned(cleaning: str, protocol: str) -> str:
  """Returns the preprocessing for `set_data`: 'stretch256-hair-clahe'.

  Args:
    cleaning: of `CLEANING`.
    protocol: of `PROTOCOLS`; 'published' finds hairs as published.
  """
  steps = '' if cleaning == 'none' else f'-{cleaning}'
  return f'stretch256{steps.replace("hair", "hair17") if protocol == "published" else steps}'


def set_weights(config: ConfigDict, weights: str) -> None:
  """Says what a network starts from.

  Args:
    config: of the recipe.
    weights: 'imagenet' downloads them, 'run' takes those of a finished run, which
      --config.init_from must then name, 'random' draws them.
  """
  if weights == 'imagenet':
    config.model.pretrained = 'imagenet'
  elif weights == 'run':
    config.init_head = 'reinit'


def keys(argument: str) -> tuple[str, ...]:
  """Returns the keys that an argument names, in its order."""
  return tuple(pair.partition('=')[0].strip() for pair in argument.split(',') if pair)


def parse(recipe: str, argument: str, allowed: dict[str, Any]) -> dict[str, Any]:
  """Reads KEY=VALUE pairs, separated by commas.

  Args:
    recipe: name of the recipe, for messages.
    argument: what stands behind the colon; '' = all defaults.
    allowed: for every key a tuple of values of which the first is the default, a default of type
      int or float, which must then be positive, a `Between`, or a default text, which anything
      without comma may replace.

  Returns:
    Value of every key of `allowed`, in its order.

  Raises:
    UserError: for an unknown or repeated key, or a value that is not allowed.
  """
  if argument and not allowed:
    raise UserError(f'configs/{recipe}.py:{argument}: the recipe takes no argument; leave it out.')
  values = {key: _default(rule) for key, rule in allowed.items()}
  given: set[str] = set()
  for pair in filter(None, argument.split(',')):
    key, equals, text = (part.strip() for part in pair.partition('='))
    where = f'configs/{recipe}.py:{argument}'
    if key not in allowed or not equals:
      near = difflib.get_close_matches(key, allowed, n=1)
      hint = f'; did you mean {near[0]}?' if near and key not in allowed else ''
      raise UserError(
        f'{where}: {pair!r} is not KEY=VALUE with a key among {", ".join(allowed)}{hint}'
      )
    if key in given:
      raise UserError(f'{where} gives {key} twice; give it once.')
    given.add(key)
    values[key] = _value(where, key, text, allowed[key])
  return values


def _default(rule: Any) -> Any:
  if isinstance(rule, Between):
    return rule.default
  return rule[0] if isinstance(rule, tuple) else rule


def _value(where: str, key: str, text: str, rule: Any) -> Any:
  """Returns a value of a rule's type, or says what is allowed."""
  if isinstance(rule, tuple):
    named = {str(value): value for value in rule}
    if text not in named:
      raise UserError(f'{where}: {key}={text} is not one of {", ".join(named)}.')
    return named[text]
  if isinstance(rule, str):
    return text
  kind = type(_default(rule))
  try:
    value = kind(text)
  except ValueError:
    value = float('nan')  # which lies nowhere
  if isinstance(rule, Between):
    if not rule.low <= value <= rule.high:
      raise UserError(
        f'{where}: {key}={text} must be of type {kind.__name__}, from {rule.low} to {rule.high}.'
      )
  elif not 0 < value < float('inf'):
    raise UserError(f'{where}: {key}={text} must be a positive {kind.__name__}.')
  return value
