"""EfficientNet B0 to B7 as Keras and timm's `tf_efficientnet_*` define them.

SAME padding and a batch-norm epsilon of 1e-3, so that TensorFlow's weights give TensorFlow's
logits.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
2019; https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models.heads import classify
from lesionjax.models.layers import (
  BatchNorm,
  Conv,
  DepthwiseConv,
  FeatureMap,
  check_size,
  he_normal_fan_out,
  stochastic_depth,
)

STRIDE = 32


class _Stage(NamedTuple):
  """A stage of B0: blocks, kernel, stride of the first block, expansion, channels out."""

  blocks: int
  window: int
  stride: int
  expansion: int
  features: int


_STAGES = (
  _Stage(1, 3, 1, 1, 16),
  _Stage(2, 3, 2, 6, 24),
  _Stage(2, 5, 2, 6, 40),
  _Stage(3, 3, 2, 6, 80),
  _Stage(3, 5, 1, 6, 112),
  _Stage(4, 5, 2, 6, 192),
  _Stage(1, 3, 1, 6, 320),
)


def scaled_width(features: int, factor: float) -> int:
  """Channels times factor, rounded to a multiple of 8 that is not below 90 % of it."""
  wanted = features * factor
  rounded = max(8, int(wanted + 4) // 8 * 8)
  return rounded + 8 if rounded < 0.9 * wanted else rounded


class SqueezeExcite(nn.Module):
  """Scales every channel by a gate in (0, 1) that sees the mean of all channels.

  Source: Hu et al., "Squeeze-and-Excitation Networks", 2018.

  Attributes:
    reduced: width of the hidden layer.
    dtype: dtype of the arithmetic.
  """

  reduced: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B,H,W,C] to the same shape."""
    dense = partial(nn.Dense, kernel_init=he_normal_fan_out, dtype=self.dtype)
    mean = jnp.mean(x, (1, 2), dtype=jnp.float32).astype(self.dtype)
    gate = nn.silu(dense(self.reduced, name='reduce')(mean))
    gate = nn.sigmoid(dense(x.shape[-1], name='expand')(gate))
    return x * gate[:, None, None, :]


class MBConv(nn.Module):
  """Inverted bottleneck: 1x1 expansion, depthwise, squeeze and excite, 1x1 projection.

  Attributes:
    features: channels out.
    window: kernel of the depthwise convolution in px.
    stride: its stride in px.
    expansion: channels inside over channels in; 1 leaves the expansion out.
    drop_rate: share of images whose branch is dropped in training.
    momentum: of the running statistics.
    dtype: dtype of the arithmetic.
  """

  features: int
  window: int
  stride: int
  expansion: int
  drop_rate: float
  momentum: float
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B,H,W,C] to [B,h,w,features]; h = H / stride rounded up."""
    norm = partial(BatchNorm, self.momentum, 1e-3, dtype=self.dtype)
    shortcut, channels = x, x.shape[-1]
    if self.expansion != 1:
      x = Conv(channels * self.expansion, 1, dtype=self.dtype, name='expand_conv')(x)
      x = nn.silu(norm(name='expand_norm')(x, train))
    x = DepthwiseConv(self.window, self.stride, 'same', self.dtype, name='depthwise_conv')(x)
    x = nn.silu(norm(name='depthwise_norm')(x, train))
    # A quarter of the block's input, not of the expanded channels.
    x = SqueezeExcite(channels // 4, self.dtype, name='squeeze')(x)
    x = Conv(self.features, 1, dtype=self.dtype, name='project_conv')(x)
    x = norm(name='project_norm')(x, train)
    if self.stride == 1 and channels == self.features:
      x = shortcut + stochastic_depth(x, self.drop_rate, train)
    return x


class EfficientNet(nn.Module):
  """3x3 stem, seven stages of inverted bottlenecks, 1x1 convolution, mean over the map, head.

  Attributes:
    num_classes: number of logits K.
    width: factor of all channels.
    depth: factor of all numbers of blocks.
    head: a key of `heads.HEADS`.
    dropout: share of pre-logits dropped in training.
    stochastic_depth: share of images whose block is dropped in training, rising linearly from zero
      at the first block towards this behind the last.
    momentum: of the batch-norm statistics. Keras' .99 forgets the start after several hundred
      steps: a run of few steps wants less.
    remat: recomputes every block in the backward pass instead of keeping its insides.
    dtype: dtype of the arithmetic; parameters, statistics and logits are float32.
  """

  num_classes: int
  width: float = 1.0
  depth: float = 1.0
  head: str = 'linear'
  dropout: float = 0.2
  stochastic_depth: float = 0.2
  momentum: float = 0.99
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, image: jax.Array, train: bool = False
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Classifies images.

    Args:
      image: float [B,H,W,C] of at least 32 px; the last map is 1/32 of it, rounded up.
      train: batch statistics, dropout, stochastic depth (the last two need the stream 'dropout').

    Returns:
      Logits float32 [B,K] and {'last_map' [B,h,w,D], 'pre_logits' [B,D]}; D is 1280 in B0 and B1,
      1408 in B2, up to 2560 in B7. 'stride2' to 'stride16' are the last stages at their sizes,
      'stride32' is the last map.

    Raises:
      UserError: image too small, unknown head.
    """
    check_size('efficientnet', image, STRIDE)
    # The argument `train` is number 2 of a block's call; it decides at trace time.
    block = nn.remat(MBConv, static_argnums=(2,)) if self.remat else MBConv
    norm = partial(BatchNorm, self.momentum, 1e-3, dtype=self.dtype)
    x = Conv(scaled_width(32, self.width), 3, 2, 'same', dtype=self.dtype, name='stem_conv')(image)
    x = nn.silu(norm(name='stem_norm')(x, train))
    repeats = [math.ceil(stage.blocks * self.depth) for stage in _STAGES]
    done, pyramid, stride = 0, {}, 2
    for number, (stage, repeat) in enumerate(zip(_STAGES, repeats, strict=True), 1):
      for index in range(repeat):
        x = block(
          scaled_width(stage.features, self.width),
          stage.window,
          stage.stride if index == 0 else 1,
          stage.expansion,
          self.stochastic_depth * done / sum(repeats),
          self.momentum,
          self.dtype,
          name=f'stage{number}_block{index + 1}',
        )(x, train)
        done += 1
      stride *= stage.stride
      if number < len(_STAGES) and _STAGES[number].stride > 1:  # the last stage at that size
        name = f'stride{stride}'
        x = pyramid[name] = FeatureMap(name=name)(x)
    x = Conv(scaled_width(1280, self.width), 1, dtype=self.dtype, name='top_conv')(x)
    x = nn.silu(norm(name='top_norm')(x, train))
    x = pyramid['stride32'] = FeatureMap(name='stride32')(x)
    pooled = jnp.mean(x, (1, 2), dtype=jnp.float32)
    logits = classify(pooled, self.head, self.num_classes, self.dropout, train)
    return logits, {'last_map': x, 'pre_logits': pooled, **pyramid}
