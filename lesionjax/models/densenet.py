"""DenseNet-121 as torchvision and timm define it.

Source: Huang et al., "Densely Connected Convolutional Networks", 2017.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models import pooling
from lesionjax.models.heads import classify
from lesionjax.models.layers import BatchNorm, Conv, check_size, stochastic_depth

STRIDE = 32


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
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B,H,W,C] to the new channels [B,H,W,growth]."""
    conv, norm = partial(Conv, dtype=self.dtype), partial(BatchNorm, dtype=self.dtype)
    x = nn.relu(norm(name='norm1')(x, train))
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
    stochastic_depth: share of images for which the last layer adds zeros in training; the others'
      shares rise linearly from zero.
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
      Logits float32 [B,K] and {'last_map' [B,h,w,1024], 'pre_logits' [B,1024]}.

    Raises:
      UserError: image too small, unknown head.
    """
    check_size('densenet', image, STRIDE)
    # The argument `train` is number 2 of a layer's call; it decides at trace time.
    layer = nn.remat(DenseLayer, static_argnums=(2,)) if self.remat else DenseLayer
    conv, norm = partial(Conv, dtype=self.dtype), partial(BatchNorm, dtype=self.dtype)
    x = conv(2 * self.growth, 7, 2, name='stem_conv')(image)
    x = nn.relu(norm(name='stem_norm')(x, train))
    x = pooling.max_pool(x, 3, 2, pad=1)
    done = 0
    for block, depth in enumerate(self.depths, 1):
      if block > 1:
        x = nn.relu(norm(name=f'transition{block - 1}_norm')(x, train))
        x = conv(x.shape[-1] // 2, 1, name=f'transition{block - 1}_conv')(x)
        x = nn.avg_pool(x, (2, 2), (2, 2))
      for index in range(1, depth + 1):
        rate = self.stochastic_depth * done / sum(self.depths)
        new = layer(self.growth, rate, self.dtype, name=f'block{block}_layer{index}')(x, train)
        x = jnp.concatenate((x, new), axis=-1)
        done += 1
    x = nn.relu(norm(name='top_norm')(x, train))
    pooled = jnp.mean(x, (1, 2), dtype=jnp.float32)
    logits = classify(pooled, self.head, self.num_classes, self.dropout, train)
    return logits, {'last_map': x, 'pre_logits': pooled}
