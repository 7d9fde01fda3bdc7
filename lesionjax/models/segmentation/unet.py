"""U-Net with batch norm and same padding.

Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models import pooling
from lesionjax.models.segmentation.blocks import Decoder, DoubleConv, PixelLogits, cropped, padded


class UNet(nn.Module):
  """Double convolutions with max pooling between them, and back up with skip connections.

  Against the paper: zero padding keeps the size, and batch norm stands before every relu.

  Attributes:
    levels: resolutions; sides are divided by 2 ** (levels - 1).
    width: channels at full size, doubled at every level.
    dropout: share of the deepest map dropped in training (as the paper does).
    dtype: dtype of the arithmetic; parameters, statistics and logits are float32.
  """

  levels: int = 5
  width: int = 16
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
    for level in range(1, self.levels + 1):
      if level > 1:
        skips.append(x)
        x = pooling.max_pool(x, 2, 2)
      x = DoubleConv(self.width * 2 ** (level - 1), self.dtype, name=f'encoder{level}')(x, train)
    bottleneck = x
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    for level in range(self.levels - 1, 0, -1):
      step = Decoder(self.width * 2 ** (level - 1), self.dtype, name=f'decoder{level}')
      x = step(x, (skips[level - 1],), train)
    x = cropped(x, image)
    logits = PixelLogits(name='decoder_logits')(x)
    return logits, {'bottleneck': bottleneck, 'last_map': x}
