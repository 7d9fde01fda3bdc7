"""The three-block convolutional network of the ADASYN study (32x32 dermoscopy)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from data_builders.errors import UserError
from lesionjax.models import pooling
from lesionjax.models.layers import BatchNorm, Conv


class CNN(nn.Module):
  """[conv, conv, pool] per width, batch norm after each convolution, then a dense layer.

  The text averages nothing away: the map is flattened, so the parameters of `dense` depend on the
  input size, and `apply` wants the size that `init` saw.

  Attributes:
    num_classes: number of logits K.
    widths: channels of the blocks.
    dense_features: width of the dense relu layer D.
    dropout: share of pre-logits dropped in training.
    dtype: dtype of the arithmetic; parameters, statistics and logits are float32.
  """

  num_classes: int
  widths: tuple[int, ...] = (32, 64, 128)
  dense_features: int = 128
  dropout: float = 0.5
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, image: jax.Array, train: bool = False
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Classifies images.

    Args:
      image: float [B, H, W, C], H and W at least 2 ** len(widths) px.
      train: batch statistics and dropout (needs the stream 'dropout').

    Returns:
      Logits float32 [B, K] and {'last_map' [B, h, w, C], 'pre_logits' [B, D]}.

    Raises:
      UserError: the image is smaller than the poolings allow.
    """
    smallest = 2 ** len(self.widths)
    if min(image.shape[1:3]) < smallest:
      raise UserError(
        f'model cnn pools {len(self.widths)} times and got images of {image.shape[1]}x'
        f'{image.shape[2]} px: use at least {smallest} px'
      )
    x = last_map = image.astype(self.dtype)
    for block, width in enumerate(self.widths, 1):
      for index in (1, 2):
        x = Conv(width, dtype=self.dtype, name=f'block{block}_conv{index}')(x)
        x = BatchNorm(dtype=self.dtype, name=f'block{block}_norm{index}')(x, train)
        x = nn.relu(x)
      last_map = x
      x = pooling.max_pool(x, 2, 2)
    x = x.reshape(x.shape[0], -1)
    x = nn.relu(nn.Dense(self.dense_features, dtype=self.dtype, name='dense')(x))
    features = {'last_map': last_map, 'pre_logits': x}
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    logits = nn.Dense(self.num_classes, dtype=jnp.float32, name='head')(x.astype(jnp.float32))
    return logits, features
