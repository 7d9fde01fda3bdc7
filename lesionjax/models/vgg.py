"""VGG16, with and without batch normalisation, as torchvision and timm define it.

Its two dense layers of 4096 see a 7x7 map. On maps of another size this does what timm does: a
smaller map (of an image below 224 px) is average-pooled to 7x7 first, which at 32 px repeats its
one pixel 49 times; on a larger map the dense layers slide as convolutions and their results are
averaged. `top='pool'` leaves both layers (120 of 138 million parameters) out and averages the last
map instead, the usual choice for small images.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", 2015 (configuration D).
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from data_builders.errors import UserError
from lesionjax.models import pooling
from lesionjax.models.heads import classify
from lesionjax.models.layers import BatchNorm, Conv, FeatureMap, check_size

STRIDE = 32
_TOPS = ('dense', 'pool')
_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class Stage(nn.Module):
  """3x3 convolutions, each with relu, at one size; no pooling.

  Attributes:
    widths: channels out of every convolution.
    batch_norm: normalises before every relu.
    dtype: dtype of the arithmetic.
  """

  widths: tuple[int, ...]
  batch_norm: bool
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B,H,W,C] to [B,H,W,widths[-1]]."""
    for index, width in enumerate(self.widths, 1):
      x = Conv(width, use_bias=True, dtype=self.dtype, name=f'conv{index}')(x)
      if self.batch_norm:
        x = BatchNorm(dtype=self.dtype, name=f'norm{index}')(x, train)
      x = nn.relu(x)
    return x


def _pooled_up(x: jax.Array, smallest: int) -> jax.Array:
  """Torch's adaptive average pooling of [B,H,W,C] to at least `smallest` rows and columns."""
  for axis in (1, 2):
    size = x.shape[axis]
    if size < smallest:
      mean = np.zeros((smallest, size), np.float32)
      for i in range(smallest):
        start, stop = i * size // smallest, -(-(i + 1) * size // smallest)
        mean[i, start:stop] = 1 / (stop - start)
      x = jnp.moveaxis(jnp.tensordot(jnp.asarray(mean, x.dtype), x, (1, axis)), 0, axis)
  return x


class VGG16(nn.Module):
  """Five stages of 3x3 convolutions with 2x2 max pooling after each, two dense layers, head.

  Attributes:
    num_classes: number of logits K.
    batch_norm: normalises after every convolution.
    top: 'dense' (the reference's two layers of 4096) or 'pool' (mean over the last map, D = 512).
    head: a key of `heads.HEADS`.
    dropout: share dropped in training after the first dense layer and of the pre-logits.
    remat: recomputes every stage in the backward pass instead of keeping its insides.
    dtype: dtype of the arithmetic; parameters, statistics and logits are float32.
  """

  num_classes: int
  batch_norm: bool = False
  top: str = 'dense'
  head: str = 'linear'
  dropout: float = 0.5
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, image: jax.Array, train: bool = False
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Classifies images.

    Args:
      image: float [B,H,W,C] of at least 32 px.
      train: batch statistics and dropout (needs the stream 'dropout').

    Returns:
      Logits float32 [B,K] and {'last_map' [B,h,w,512] before the last pooling, 'pre_logits'
      [B,4096] or [B,512], 'stride1' to 'stride16' (the stages, each before its pooling)}.

    Raises:
      UserError: image too small, unknown top or head.
    """
    check_size('vgg16', image, STRIDE)
    if self.top not in _TOPS:
      raise UserError(f'model vgg16 has no top {self.top!r}: allowed are {", ".join(_TOPS)}')
    # The argument `train` is number 2 of a stage's call; it decides at trace time.
    stage = nn.remat(Stage, static_argnums=(2,)) if self.remat else Stage
    x = last_map = image.astype(self.dtype)
    pyramid = {}
    for number, widths in enumerate(_WIDTHS, 1):
      x = stage(widths, self.batch_norm, self.dtype, name=f'stage{number}')(x, train)
      name = f'stride{2 ** (number - 1)}'
      last_map = pyramid[name] = FeatureMap(name=name)(x)
      x = pooling.max_pool(last_map, 2, 2)
    if self.top == 'dense':
      x = _pooled_up(x, 7)
      x = nn.relu(Conv(4096, 7, 1, 0, True, dtype=self.dtype, name='dense1')(x))
      x = nn.Dropout(self.dropout, deterministic=not train)(x)
      x = nn.relu(Conv(4096, 1, use_bias=True, dtype=self.dtype, name='dense2')(x))
    pooled = jnp.mean(x, (1, 2), dtype=jnp.float32)
    logits = classify(pooled, self.head, self.num_classes, self.dropout, train)
    return logits, {'last_map': last_map, 'pre_logits': pooled, **pyramid}
