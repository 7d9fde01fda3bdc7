"""ResNet-18, 34 and 50 as torchvision and timm define them.

Source: He et al., "Deep Residual Learning for Image Recognition", 2016; ResNet-50 is the variant
"v1.5", whose stride sits in the 3x3 convolution of the bottleneck.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models import pooling
from lesionjax.models.heads import classify
from lesionjax.models.layers import BatchNorm, Conv, FeatureMap, check_size, stochastic_depth

STRIDE = 32


class BasicBlock(nn.Module):
  """Two 3x3 convolutions and a shortcut; `features` channels out."""

  features: int
  stride: int = 1
  zero_init_last: bool = True
  drop_rate: float = 0.0
  dtype: Any = jnp.float32
  expansion = 1

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B,H,W,C] to [B,h,w,features * expansion], h and w divided by the stride."""
    shortcut = _shortcut(self, x, train)
    x = Conv(self.features, 3, self.stride, dtype=self.dtype, name='conv1')(x)
    x = nn.relu(BatchNorm(dtype=self.dtype, name='norm1')(x, train))
    x = Conv(self.features, 3, dtype=self.dtype, name='conv2')(x)
    x = BatchNorm(scale_init=_last_scale(self), dtype=self.dtype, name='norm2')(x, train)
    return nn.relu(stochastic_depth(x, self.drop_rate, train) + shortcut)


class Bottleneck(nn.Module):
  """1x1, 3x3 (strided) and 1x1 convolution and a shortcut; 4 * `features` channels out."""

  features: int
  stride: int = 1
  zero_init_last: bool = True
  drop_rate: float = 0.0
  dtype: Any = jnp.float32
  expansion = 4

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B,H,W,C] to [B,h,w,features * expansion], h and w divided by the stride."""
    shortcut = _shortcut(self, x, train)
    x = Conv(self.features, 1, dtype=self.dtype, name='conv1')(x)
    x = nn.relu(BatchNorm(dtype=self.dtype, name='norm1')(x, train))
    x = Conv(self.features, 3, self.stride, dtype=self.dtype, name='conv2')(x)
    x = nn.relu(BatchNorm(dtype=self.dtype, name='norm2')(x, train))
    x = Conv(self.features * self.expansion, 1, dtype=self.dtype, name='conv3')(x)
    x = BatchNorm(scale_init=_last_scale(self), dtype=self.dtype, name='norm3')(x, train)
    return nn.relu(stochastic_depth(x, self.drop_rate, train) + shortcut)


def _last_scale(block: BasicBlock | Bottleneck) -> Any:
  """Zero makes the block the identity at the start (Goyal et al., 2017, section 5.1)."""
  return nn.initializers.zeros_init() if block.zero_init_last else nn.initializers.ones_init()


def _shortcut(block: BasicBlock | Bottleneck, x: jax.Array, train: bool) -> jax.Array:
  """The input itself, or its projection where the block changes shape."""
  features = block.features * block.expansion
  if block.stride == 1 and x.shape[-1] == features:
    return x
  conv = Conv(features, 1, block.stride, dtype=block.dtype, name='shortcut_conv')
  return BatchNorm(dtype=block.dtype, name='shortcut_norm')(conv(x), train)


class ResNet(nn.Module):
  """7x7 stem, 3x3 max pooling, four stages of blocks, mean over the map, linear head.

  Attributes:
    num_classes: number of logits K.
    depths: blocks per stage.
    block: 'basic' or 'bottleneck'.
    zero_init_last: the last scale of every block starts at zero.
    head: a key of `heads.HEADS`.
    dropout: share of pre-logits dropped in training.
    stochastic_depth: share of images whose block is dropped in training, rising linearly from zero
      at the first block to this at the last.
    remat: recomputes every block in the backward pass instead of keeping its insides.
    dtype: dtype of the arithmetic; parameters, statistics and logits are float32.
  """

  num_classes: int
  depths: tuple[int, ...] = (2, 2, 2, 2)
  block: str = 'basic'
  zero_init_last: bool = True
  head: str = 'linear'
  dropout: float = 0.0
  stochastic_depth: float = 0.0
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, image: jax.Array, train: bool = False
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Classifies images.

    Args:
      image: float [B, H, W, C] of at least 32 px; the last map is 1/32 of it, rounded up.
      train: batch statistics, dropout, stochastic depth (the last two need the stream 'dropout').

    Returns:
      Logits float32 [B, K] and {'last_map' [B, h, w, D], 'pre_logits' [B, D], 'stride2' (the stem)
      and 'stride4' to 'stride32' (the stages) [B, H / stride, W / stride, ...]}.

    Raises:
      UserError: image too small, unknown head.
    """
    check_size('resnet', image, STRIDE)
    block: Any = {'basic': BasicBlock, 'bottleneck': Bottleneck}[self.block]
    if self.remat:  # the argument `train` is number 2 of a block's call and decides at trace time
      block = nn.remat(block, static_argnums=(2,))
    x = Conv(64, 7, 2, dtype=self.dtype, name='stem_conv')(image)
    x = nn.relu(BatchNorm(dtype=self.dtype, name='stem_norm')(x, train))
    x = FeatureMap(name='stride2')(x)
    pyramid = {'stride2': x}
    x = pooling.max_pool(x, 3, 2, pad=1)
    done = 0
    for stage, depth in enumerate(self.depths):
      for index in range(depth):
        x = block(
          64 * 2**stage,
          2 if stage > 0 and index == 0 else 1,
          self.zero_init_last,
          self.stochastic_depth * done / max(1, sum(self.depths) - 1),
          self.dtype,
          name=f'stage{stage + 1}_block{index + 1}',
        )(x, train)
        done += 1
      name = f'stride{4 * 2**stage}'
      x = pyramid[name] = FeatureMap(name=name)(x)
    pooled = jnp.mean(x, (1, 2), dtype=jnp.float32)
    logits = classify(pooled, self.head, self.num_classes, self.dropout, train)
    return logits, {'last_map': x, 'pre_logits': pooled, **pyramid}
