"""The three-block convolutional network of the ADASYN study (32x32 dermoscopy)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models import pooling
from lesionjax.models.heads import classify
from lesionjax.models.layers import BatchNorm, Conv, FeatureMap, check_size


class CNN(nn.Module):
  """[conv, conv, pool] per width, batch norm after each convolution, then a dense layer.

  The text averages nothing away: the map is flattened, so the parameters of `dense` depend on the
  input size, and `apply` wants the size that `init` saw.

  Attributes:
    num_classes: number of logits K.
    widths: channels of the blocks.
    dense_features: width of the dense relu layer D; 0 leaves it out, and the size free.
    head: a key of `heads.HEADS`.
    dropout: share of pre-logits dropped in training.
    dtype: dtype of the arithmetic; parameters, statistics and logits are float32.
  """

  num_classes: int
  widths: tuple[int, ...] = (32, 64, 128)
  dense_features: int = 128
  head: str = 'linear'
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
      Logits float32 [B, K] and {'last_map' [B, h, w, C], 'pre_logits' [B, D], 'stride1', 'stride2',
      ... (the blocks, each before its pooling)}.

    Raises:
      UserError: the image is smaller than the poolings allow, unknown head.
    """
    check_size('cnn', image, 2 ** len(self.widths))
    x = last_map = image.astype(self.dtype)
    pyramid = {}
    for block, width in enumerate(self.widths, 1):
      for index in (1, 2):
        x = Conv(width, dtype=self.dtype, name=f'block{block}_conv{index}')(x)
        x = BatchNorm(dtype=self.dtype, name=f'block{block}_norm{index}')(x, train)
        x = nn.relu(x)
      name = f'stride{2 ** (block - 1)}'
      last_map = pyramid[name] = FeatureMap(name=name)(x)
      x = pooling.max_pool(last_map, 2, 2)
    x = x.reshape(x.shape[0], -1)
    if self.dense_features:
      x = nn.relu(nn.Dense(self.dense_features, dtype=self.dtype, name='dense')(x))
    features = {'last_map': last_map, 'pre_logits': x, **pyramid}
    return classify(x, self.head, self.num_classes, self.dropout, train), features
