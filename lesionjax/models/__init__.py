"""Classifiers: one explicit table of names (`table`), one function that builds them."""

from __future__ import annotations

import difflib
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from data_builders.errors import UserError
from lesionjax.models.heads import check_head
from lesionjax.models.table import MODELS, ModelSpec, Pretrained

__all__ = ['MODELS', 'ModelSpec', 'Pretrained', 'build_model', 'find_model']


def find_model(name: str) -> ModelSpec:
  """Looks a name up in `MODELS`.

  Raises:
    UserError: unknown name; the nearest ones are suggested.
  """
  if name not in MODELS:
    near = difflib.get_close_matches(name, MODELS, n=3, cutoff=0.5)
    hint = f'did you mean {" or ".join(near)}? Known' if near else 'known'
    raise UserError(f'unknown model {name!r}: {hint} models are {", ".join(MODELS)}')
  return MODELS[name]


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
  for key in arguments:
    if key not in spec.options:
      allowed = ', '.join(spec.options) or 'none'
      raise UserError(f'model {name!r} has no argument {key!r}: allowed arguments are {allowed}')
  if num_classes < 1:
    raise UserError(f'model {name!r} needs num_classes of at least 1, not {num_classes}')
  if 'head' in arguments:
    check_head(arguments['head'])
  chosen = {**spec.fixed, **spec.defaults, **arguments}
  return spec.constructor(num_classes=num_classes, dtype=dtype, **chosen)
