"""What stands on a backbone: the linear head of every reference and the heads of the recipes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import flax.linen as nn
import jax
import jax.numpy as jnp

from data_builders.errors import UserError

# Hidden relu layers in order, each (width, share dropped in training after it); the last linear
# layer to the classes is not listed.
HEADS: Mapping[str, tuple[tuple[int, float], ...]] = MappingProxyType(
  {
    'linear': (),
    # Recipe `ham_resnet18_head`: 512 features -> 256 -> classes.
    'mlp_256': ((256, 0.5),),
    # Row 5 of recipe `two_stage_melanoma`: an extra layer as wide as DenseNet's features.
    'mlp_1024': ((1024, 0.0),),
    # Recipe `isic2019_balance`: the network that is trained on oversampled features.
    'mlp_512_256': ((512, 0.3), (256, 0.2)),
    # With the last layer of LDAM instead of a linear one.
    'cosine': (),
    'mlp_512_256_cosine': ((512, 0.3), (256, 0.2)),
  }
)

COSINE_SCALE = 30.0
"""Logits of a cosine head lie within +- this; as in LDAM's published code."""


class Cosine(nn.Module):
  """Cosines of the features with a vector of every class, times `COSINE_SCALE`.

  Lengths cannot make up for a margin then, or for a class being frequent.

  Attributes:
    num_classes: number of logits K.

  References:
    Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS
    2019, section 3.2; https://github.com/kaidic/LDAM-DRW
  """

  num_classes: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps features float32 [B,D] to logits [B,K]."""
    shape = (x.shape[-1], self.num_classes)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    return COSINE_SCALE * (_unit(x, -1) @ _unit(kernel, 0))


def _unit(x: jax.Array, axis: int) -> jax.Array:
  # Behind a relu all features may be 0.
  return x * jax.lax.rsqrt(jnp.maximum((x * x).sum(axis, keepdims=True), 1e-12))


class MLP(nn.Module):
  """Dense relu layers with dropout, then a linear layer, all in float32.

  Attributes:
    num_classes: number of logits K.
    layers: (width, dropout) of the hidden layers.
    cosine: whether the last layer is a `Cosine`.
  """

  num_classes: int
  layers: tuple[tuple[int, float], ...]
  cosine: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
    """Maps features float32 [B,D] to logits [B,K]; train needs the stream 'dropout'."""
    for index, (width, dropout) in enumerate(self.layers, 1):
      x = nn.relu(nn.Dense(width, name=f'dense{index}')(x))
      x = nn.Dropout(dropout, deterministic=not train)(x)
    out = Cosine if self.cosine else nn.Dense
    return out(self.num_classes, name='out')(x)


def check_head(head: str) -> None:
  """Refuses a name that is not in `HEADS`.

  Raises:
    UserError: naming those that are.
  """
  if not isinstance(head, str) or head not in HEADS:
    raise UserError(f'unknown head {head!r}: known heads are {", ".join(HEADS)}')


def classify(
  pre_logits: jax.Array, head: str, num_classes: int, dropout: float, train: bool
) -> jax.Array:
  """Dropout and the head, whose parameters lie under 'head'; call it inside a compact module.

  Args:
    pre_logits: features [B,D].
    head: a key of `HEADS`.
    num_classes: number of logits K; 0 leaves the head out, for a backbone that is used without.
    dropout: share of the features dropped in training.
    train: needs the stream 'dropout' where anything is dropped.

  Returns:
    Logits float32 [B,K].

  Raises:
    UserError: unknown head.
  """
  check_head(head)
  if not num_classes:
    return jnp.zeros((pre_logits.shape[0], 0), jnp.float32)
  x = nn.Dropout(dropout, deterministic=not train)(pre_logits.astype(jnp.float32))
  cosine = head.endswith('cosine')
  if HEADS[head]:
    return MLP(num_classes, HEADS[head], cosine, name='head')(x, train)
  last = Cosine if cosine else nn.Dense
  return last(num_classes, name='head')(x)
