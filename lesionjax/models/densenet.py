"""DenseNet-121 as torchvision and timm define it.

Source: Huang et al., "Densely Connected Convolutional Networks", 2017.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models import ops, pooling
from lesionjax.models.heads import classify
from lesionjax.models.layers import (
  BatchNorm,
  Conv,
  FeatureMap,
  batch_moments,
  check_size,
  stochastic_depth,
)

STRIDE = 32


Moments = tuple[jax.Array, jax.Array]


class SeenMaps:
  """The maps that a dense block has made so far, and their moments.

  The batch moments of a map are the same for every later norm: they are computed once, and the
  gradients of the later layers meet in them as vectors.
  """

  def __init__(self, x: jax.Array, train: bool):
    self._train = train
    self._maps: list[jax.Array] = []
    self._moments: list[Moments] = []
    self.append(x)

  def append(self, x: jax.Array) -> None:
    """Adds channels [B,H,W,C]."""
    x = ops.materialised_gradient(x)
    self._maps.append(x)
    if self._train:
      self._moments.append(batch_moments(x))

  def all(self) -> tuple[jax.Array, Moments | None]:
    """Returns all channels [B,H,W,C], and their moments in training."""
    if not self._train:
      return jnp.concatenate(self._maps, -1), None
    mean, var = (jnp.concatenate(part) for part in zip(*self._moments, strict=True))
    return jnp.concatenate(self._maps, -1), (mean, var)


class DenseLayer(nn.Module):
  """Batch norm, relu and 1x1 convolution, then again with 3x3: `growth` new channels.

  Attributes:
    growth: channels added; the 1x1 convolution gives four times as many.
    drop_rate: share of images whose new channels are zero in training.
    dtype: dtype of the arithmetic.
  """

  growth: int
  drop_rate: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool, moments: Moments | None = None) -> jax.Array:
    """Maps [B,H,W,C], whose batch moments may be given, to the new channels [B,H,W,growth]."""
    conv, norm = partial(Conv, dtype=self.dtype), partial(BatchNorm, dtype=self.dtype)
    x = nn.relu(norm(name='norm1')(x, train, moments))
    x = conv(4 * self.growth, 1, name='conv1')(x)
    x = nn.relu(norm(name='norm2')(x, train))
    x = conv(self.growth, 3, name='conv2')(x)
    return stochastic_depth(x, self.drop_rate, train)


class DenseNet(nn.Module):
  """7x7 stem, 3x3 max pooling, blocks whose layers see all maps before them, mean, head.

  Attributes:
    num_classes: number of logits K.
    depths: layers per block.
    growth: channels that a layer adds.
    head: a key of `heads.HEADS`.
    dropout: share of pre-logits dropped in training.
    stochastic_depth: share of images for which a layer adds zeros in training, rising linearly from
      zero at the first layer towards this behind the last.
    remat: recomputes every layer in the backward pass instead of keeping its insides.
    dtype: dtype of the arithmetic; parameters, statistics and logits are float32.
  """

  num_classes: int
  depths: tuple[int, ...] = (6, 12, 24, 16)
  growth: int = 32
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
      image: float [B,H,W,C] of at least 32 px; poolings between blocks drop an odd last row.
      train: batch statistics, dropout, stochastic depth (the last two need the stream 'dropout').

    Returns:
      Logits float32 [B,K] and {'last_map' [B,h,w,1024], 'pre_logits' [B,1024], 'stride2' (stem),
      'stride4' to 'stride16' (the blocks, normalised, before the transition's convolution) and
      'stride32' (the last map)}.

    Raises:
      UserError: image too small, unknown head.
    """
    check_size('densenet', image, STRIDE)
    # The argument `train` is number 2 of a layer's call; it decides at trace time.
    layer = nn.remat(DenseLayer, static_argnums=(2,)) if self.remat else DenseLayer
    conv, norm = partial(Conv, dtype=self.dtype), partial(BatchNorm, dtype=self.dtype)
    x = conv(2 * self.growth, 7, 2, name='stem_conv')(image)
    x = nn.relu(norm(name='stem_norm')(x, train))
    x = FeatureMap(name='stride2')(x)
    pyramid = {'stride2': x}
    x = pooling.max_pool(x, 3, 2, pad=1)
    moments, done = None, 0
    for block, depth in enumerate(self.depths, 1):
      if block > 1:
        x = nn.relu(norm(name=f'transition{block - 1}_norm')(x, train, moments))
        name = f'stride{2**block}'
        x = pyramid[name] = FeatureMap(name=name)(x)
        # The paper convolves, then pools: the same, for four times the work.
        channels = x.shape[-1] // 2
        x = conv(channels, 1, name=f'transition{block - 1}_conv')(pooling.halve(x))
      seen = SeenMaps(x, train)
      for index in range(1, depth + 1):
        rate = self.stochastic_depth * done / sum(self.depths)
        x, moments = seen.all()
        new = layer(self.growth, rate, self.dtype, name=f'block{block}_layer{index}')
        seen.append(new(x, train, moments))
        done += 1
      x, moments = seen.all()
    x = nn.relu(norm(name='top_norm')(x, train, moments))
    x = pyramid['stride32'] = FeatureMap(name='stride32')(x)
    pooled = jnp.mean(x, (1, 2), dtype=jnp.float32)
    logits = classify(pooled, self.head, self.num_classes, self.dropout, train)
    return logits, {'last_map': x, 'pre_logits': pooled, **pyramid}
