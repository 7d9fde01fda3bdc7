"""Classifiers: one explicit table of names (`table`), one function that builds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from data_builders.errors import UserError
from lesionjax.models import names
from lesionjax.models.heads import check_head
from lesionjax.models.table import MODELS, ModelSpec, Pretrained

__all__ = ['MODELS', 'ModelSpec', 'Pretrained', 'build_model', 'find_model']


def find_model(name: str) -> ModelSpec:
  """Looks a name up in `MODELS`.

  Raises:
    UserError: unknown name; the nearest ones are suggested.
  """
  names.check_name('model', name, MODELS)
  return MODELS[name]


# Shares of something that is dropped, and the weight of old statistics.
_SHARES = ('dropout', 'stochastic_depth', 'momentum')


def _check_value(name: str, key: str, value: Any) -> None:
  """Refuses a value that would fail late, or not at all."""
  if key == 'head':
    check_head(value)
  elif key in _SHARES and not (isinstance(value, int | float) and 0 <= value < 1):
    raise UserError(f'model {name!r}: {key}={value!r} must be a share, at least 0 and below 1')
  elif key == 'widths' and not (
    isinstance(value, Sequence) and value and all(isinstance(w, int) and w > 0 for w in value)
  ):
    raise UserError(f'model {name!r}: widths={value!r} must be positive whole numbers, one a block')
  elif key in ('grid', 'dense_features') and not (isinstance(value, int) and value > 0):
    raise UserError(f'model {name!r}: {key}={value!r} must be a positive whole number')


def build_model(
  name: str, num_classes: int, dtype: Any = jnp.float32, **arguments: Any
) -> nn.Module:
  """Builds a classifier by its name in `MODELS`.

  Args:
    name: key of `MODELS`.
    num_classes: number of logits K, at least 1.
    dtype: dtype of the arithmetic; parameters, statistics and logits stay float32.
    **arguments: options of that model, listed in its `ModelSpec`.

  Returns:
    A module whose `apply(variables, image float [B,H,W,C], train=...)` gives logits float32 [B,K]
    and the features 'last_map' [B,h,w,D] and 'pre_logits' [B,D].

  Raises:
    UserError: unknown name, argument or head, or no class.
  """
  spec = find_model(name)
  names.check_arguments('model', name, arguments, spec.options)
  if num_classes < 1:
    raise UserError(f'model {name!r} needs num_classes of at least 1, not {num_classes}')
  for key, value in arguments.items():
    _check_value(name, key, value)
  chosen = {**spec.fixed, **spec.defaults, **arguments}
  return spec.constructor(num_classes=num_classes, dtype=dtype, **chosen)
