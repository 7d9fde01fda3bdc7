"""What the segmenters share: double convolution, up-convolution, padding to the stride, logits."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models.layers import BatchNorm, Conv
from lesionjax.models.upsampling import up_conv


def padded(image: jax.Array, stride: int) -> jax.Array:
  """Adds zeros at the bottom and at the right of [B,H,W,C] up to multiples of the stride.

  Zero is the mean colour of a normalised image. `cropped` undoes it.
  """
  missing = (-image.shape[1] % stride, -image.shape[2] % stride)
  return jnp.pad(image, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))


def cropped(x: jax.Array, image: jax.Array) -> jax.Array:
  """Returns the part of [B,h,w,C] that lies on the image [B,H,W,...]: [B,H,W,C]."""
  return x[:, : image.shape[1], : image.shape[2]]


class DoubleConv(nn.Module):
  """Twice a 3x3 convolution, batch norm and relu.

  Attributes:
    features: channels out of either convolution.
    dtype: dtype of the arithmetic and of the result.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B,H,W,C] to [B,H,W,features]."""
    conv, norm = partial(Conv, dtype=self.dtype), partial(BatchNorm, dtype=self.dtype)
    x = nn.relu(norm(name='norm1')(conv(self.features, name='conv1')(x), train))
    return nn.relu(norm(name='norm2')(conv(self.features, name='conv2')(x), train))


class UpConv(nn.Module):
  """Up-convolution: transposed convolution of 2x2 px at stride 2, with a bias.

  Attributes:
    features: channels out.
    dtype: dtype of the arithmetic and of the result.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B,H,W,C] to [B,2H,2W,features]."""
    channels = x.shape[-1]
    # Every number that comes out is a sum over the channels alone: the windows do not overlap.
    init = nn.initializers.normal(channels**-0.5)
    kernel = self.param('kernel', init, (2, 2, channels, self.features), jnp.float32)
    bias = self.param('bias', nn.initializers.zeros_init(), (self.features,), jnp.float32)
    return up_conv(x.astype(self.dtype), kernel.astype(self.dtype)) + bias.astype(self.dtype)


class Decoder(nn.Module):
  """One step up: up-convolution, the maps of that size beside it, double convolution.

  Attributes:
    features: channels out of the up-convolution and of the double convolution.
    dtype: dtype of the arithmetic and of the result.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, skips: tuple[jax.Array, ...], train: bool) -> jax.Array:
    """Maps [B,h,w,C] and any number of maps [B,2h,2w,...] to [B,2h,2w,features]."""
    up = UpConv(self.features, self.dtype, name='up')(x)
    x = jnp.concatenate((*(skip.astype(self.dtype) for skip in skips), up), -1)
    return DoubleConv(self.features, self.dtype, name='double')(x, train)


class PixelLogits(nn.Module):
  """1x1 convolution to one logit a pixel, in float32."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B,H,W,C] to logits float32 [B,H,W,1]."""
    init = nn.initializers.lecun_normal()
    return Conv(1, 1, use_bias=True, kernel_init=init, name='conv')(x)
