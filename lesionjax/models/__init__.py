"""Classifiers: one explicit table of names, one function that builds them."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from data_builders.errors import UserError
from lesionjax.models.cnn import CNN
from lesionjax.models.resnet import ResNet


@dataclasses.dataclass(frozen=True)
class ModelSpec:
  """An entry of the table: what is called with what, and what its user may set.

  Attributes:
    constructor: the flax module.
    fixed: arguments that make the architecture what its name says.
    options: arguments that `build_model` accepts besides `num_classes` and `dtype`.
  """

  constructor: type[nn.Module]
  fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  options: tuple[str, ...] = ()


_RESNET_OPTIONS = ('dropout', 'zero_init_last')

MODELS: Mapping[str, ModelSpec] = MappingProxyType(
  {
    'cnn': ModelSpec(CNN, options=('dropout', 'widths', 'dense_features')),
    'resnet18': ModelSpec(
      ResNet, {'depths': (2, 2, 2, 2), 'block': 'basic'}, options=_RESNET_OPTIONS
    ),
    'resnet34': ModelSpec(
      ResNet, {'depths': (3, 4, 6, 3), 'block': 'basic'}, options=_RESNET_OPTIONS
    ),
    'resnet50': ModelSpec(
      ResNet, {'depths': (3, 4, 6, 3), 'block': 'bottleneck'}, options=_RESNET_OPTIONS
    ),
  }
)


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
    UserError: unknown name or argument, or no class.
  """
  if name not in MODELS:
    near = difflib.get_close_matches(name, MODELS, n=3, cutoff=0.5)
    hint = f'did you mean {" or ".join(near)}? Known' if near else 'known'
    raise UserError(f'unknown model {name!r}: {hint} models are {", ".join(MODELS)}')
  spec = MODELS[name]
  for key in arguments:
    if key not in spec.options:
      allowed = ', '.join(spec.options) or 'none'
      raise UserError(f'model {name!r} has no argument {key!r}: allowed arguments are {allowed}')
  if num_classes < 1:
    raise UserError(f'model {name!r} needs num_classes of at least 1, not {num_classes}')
  return spec.constructor(num_classes=num_classes, dtype=dtype, **spec.fixed, **arguments)
