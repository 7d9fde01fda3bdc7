"""BCDU-Net: a U-Net with densely connected convolutions and bidirectional ConvLSTMs.

Source: Azad et al., "Bi-Directional ConvLSTM U-Net with Densley Connected Convolutions", 2019.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models import pooling
from lesionjax.models.layers import BatchNorm, Conv
from lesionjax.models.segmentation.blocks import (
  DoubleConv,
  PixelLogits,
  UpConv,
  cropped,
  padded,
)
from lesionjax.models.segmentation.conv_lstm import BidirectionalConvLSTM

PLACES = ('skips', 'bottleneck')
DENSE_BLOCKS = (1, 3)


class BCDUNet(nn.Module):
  """U-Net whose deepest map is made by dense blocks, and where ConvLSTMs join two maps.

  The sequence of a ConvLSTM is always two maps long. At the skips it is (map of the encoder,
  up-convolved map of the decoder) and takes the place of their concatenation; at the bottleneck it
  is the outputs of the last two dense blocks (of a single block: of its two convolutions), and the
  skips are concatenated. Up-convolutions are followed by batch norm and relu, as in the paper's
  code; batch norm after every convolution is ours.

  Attributes:
    levels: resolutions; sides are divided by 2 ** (levels - 1).
    width: channels at full size, doubled at every level.
    bconvlstm_at: 'skips' (the paper) or 'bottleneck'.
    dense_blocks: 1 (none are dense: a plain double convolution) or 3.
    bidirectional: False reads the sequences backwards only, as the paper's code does.
    dropout: share dropped in training behind every dense block.
    dtype: dtype of the arithmetic; parameters, statistics and logits are float32.
  """

  levels: int = 4
  width: int = 32
  bconvlstm_at: str = 'skips'
  dense_blocks: int = 3
  bidirectional: bool = True
  dropout: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, Any]]:
    """Segments images.

    Args:
      image: float [B,H,W,C] of any size; padded inside (`blocks.padded`), and cropped back.
      train: batch statistics and dropout (needs the stream 'dropout').

    Returns:
      Logits float32 [B,H,W,1] and {'bottleneck' [B,h,w,D], 'last_map' [B,H,W,width]}.
    """
    x = padded(image.astype(self.dtype), 2 ** (self.levels - 1))
    skips = []
    for level in range(1, self.levels):
      x = DoubleConv(self._features(level), self.dtype, name=f'encoder{level}')(x, train)
      skips.append(x)
      x = pooling.max_pool(x, 2, 2)
    x = bottleneck = self._bottleneck(x, train)
    for level in range(self.levels - 1, 0, -1):
      x = self._step_up(x, skips[level - 1], level, train)
    x = cropped(x, image)
    logits = PixelLogits(name='decoder_logits')(x)
    return logits, {'bottleneck': bottleneck, 'last_map': x}

  def _features(self, level: int) -> int:
    return self.width * 2 ** (level - 1)

  def _bottleneck(self, x: jax.Array, train: bool) -> jax.Array:
    """Dense blocks; each sees the outputs of all before it."""
    features = self._features(self.levels)
    outputs: list[jax.Array] = []
    for number in range(1, self.dense_blocks + 1):
      block = f'encoder{self.levels}_block{number}'
      seen = x if number == 1 else jnp.concatenate(outputs, -1)
      for index in (1, 2):
        seen = Conv(features, dtype=self.dtype, name=f'{block}_conv{index}')(seen)
        seen = nn.relu(BatchNorm(dtype=self.dtype, name=f'{block}_norm{index}')(seen, train))
        if self.dense_blocks == 1 and index == 1:
          outputs.append(seen)
      outputs.append(nn.Dropout(self.dropout, deterministic=not train)(seen))
    if self.bconvlstm_at == 'skips':
      return outputs[-1]
    return self._joined(outputs[-2:], features, f'encoder{self.levels}_lstm')

  def _joined(self, pair: list[jax.Array], features: int, name: str) -> jax.Array:
    # Half of the channels to either direction, as the paper's code has it.
    lstm = BidirectionalConvLSTM(max(1, features // 2), self.bidirectional, self.dtype, name=name)
    return lstm(pair)

  def _step_up(self, x: jax.Array, skip: jax.Array, level: int, train: bool) -> jax.Array:
    features = self._features(level)
    up = UpConv(features, self.dtype, name=f'decoder{level}_up')(x)
    up = nn.relu(BatchNorm(dtype=self.dtype, name=f'decoder{level}_up_norm')(up, train))
    if self.bconvlstm_at == 'skips':
      x = self._joined([skip, up], features, f'decoder{level}_lstm')
    else:
      x = jnp.concatenate((skip, up), -1)
    return DoubleConv(features, self.dtype, name=f'decoder{level}')(x, train)
