"""UNet++: a U-Net whose skip connections are nested, dense decoders.

Source: Zhou et al., "UNet++: A Nested U-Net Architecture for Medical Image Segmentation", 2018.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models import pooling
from lesionjax.models.segmentation.blocks import Decoder, DoubleConv, PixelLogits, cropped, padded


class UNetPlusPlus(nn.Module):
  """Every map sees all maps of its size to its left and the one below, up-convolved.

  Map `decoderI_J` is the paper's X^(I-1,J); its encoder is that of `UNet`.

  Attributes:
    levels: resolutions; sides are divided by 2 ** (levels - 1).
    width: channels at full size, doubled at every level.
    deep_supervision: the other full-size maps of the decoder give logits, too.
    dropout: share of the deepest map dropped in training.
    dtype: dtype of the arithmetic; parameters, statistics and logits are float32.
  """

  levels: int = 5
  width: int = 16
  deep_supervision: bool = False
  dropout: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, Any]]:
    """Segments images.

    Args:
      image: float [B,H,W,C] of any size; padded inside (`blocks.padded`), and cropped back.
      train: batch statistics and dropout (needs the stream 'dropout').

    Returns:
      Logits float32 [B,H,W,1] of the last full-size map, and {'bottleneck' [B,h,w,D], 'last_map'
      [B,H,W,width], 'auxiliary': logits [B,H,W,1] of the full-size maps before the last, shallowest
      first; empty without deep supervision}.
    """
    x = padded(image.astype(self.dtype), 2 ** (self.levels - 1))
    rows: list[list[jax.Array]] = []
    for level in range(1, self.levels + 1):
      x = pooling.max_pool(x, 2, 2) if level > 1 else x
      x = DoubleConv(self.width * 2 ** (level - 1), self.dtype, name=f'encoder{level}')(x, train)
      rows.append([x])
    bottleneck = x
    rows[-1] = [nn.Dropout(self.dropout, deterministic=not train)(x)]
    for column in range(1, self.levels):
      for level in range(1, self.levels - column + 1):
        width = self.width * 2 ** (level - 1)
        step = Decoder(width, self.dtype, name=f'decoder{level}_{column}')
        rows[level - 1].append(step(rows[level][column - 1], tuple(rows[level - 1]), train))
    maps = [cropped(x, image) for x in rows[0][1:]]
    auxiliary = tuple(
      PixelLogits(name=f'decoder_logits{column}')(x)
      for column, x in enumerate(maps[:-1] if self.deep_supervision else (), 1)
    )
    logits = PixelLogits(name='decoder_logits')(maps[-1])
    return logits, {'bottleneck': bottleneck, 'last_map': maps[-1], 'auxiliary': auxiliary}
