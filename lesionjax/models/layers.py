"""Flax layers over `ops` and `depthwise`: what every architecture here is made of."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from data_builders.errors import UserError
from lesionjax.models import ops
from lesionjax.models.depthwise import depthwise_conv

he_normal_fan_out = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


def same_pads(size: tuple[int, ...], window: int, stride: int) -> ops.Pads:
  """TensorFlow's SAME: the map shrinks to size / stride rounded up, the odd zero comes last."""
  totals = [max((-(-n // stride) - 1) * stride + window - n, 0) for n in size]
  (top, left) = (total // 2 for total in totals)
  return (top, totals[0] - top), (left, totals[1] - left)


def _pads(pad: int | str | None, x: jax.Array, window: int, stride: int) -> ops.Pads:
  if pad == 'same':
    return same_pads(x.shape[1:3], window, stride)
  zeros = window // 2 if pad is None else int(pad)
  return (zeros, zeros), (zeros, zeros)


def check_size(name: str, image: jax.Array, smallest: int) -> None:
  """Refuses images [B,H,W,C] with fewer than `smallest` px on a side.

  Raises:
    UserError: the image is smaller than the network's stride.
  """
  height, width = image.shape[1:3]
  if min(height, width) < smallest:
    raise UserError(
      f'model {name} got images of {height}x{width} px and divides their sides by {smallest}: use '
      f'at least {smallest} px'
    )


def stochastic_depth(x: jax.Array, rate: float, train: bool) -> jax.Array:
  """Drops the residual branch x [B,...] of whole images at `rate`, and scales the others up.

  Call it inside a compact module; it needs the stream 'dropout' where train and rate > 0.

  Source: Huang et al., "Deep Networks with Stochastic Depth", 2016.
  """
  every_axis_but_the_batch = tuple(range(1, x.ndim))
  return nn.Dropout(rate, every_axis_but_the_batch, deterministic=not train)(x)


class FeatureMap(nn.Module):
  """The identity: gives a map within a network a name, at which `perturbed` finds it."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Returns x [B,h,w,C]."""
    return x


class Conv(nn.Module):
  """Two-dimensional convolution; parameters float32, arithmetic in `dtype`.

  Attributes:
    features: output channels.
    window: kernel height and width in pixels.
    stride: step of the window in pixels.
    pad: zeros added on every side; None means `window // 2`, 'same' what `same_pads` says.
    use_bias: adds a bias per output channel.
    kernel_init: initialiser of the kernel [window, window, C_in, features].
    dtype: dtype of the arithmetic and of the result.
  """

  features: int
  window: int = 3
  stride: int = 1
  pad: int | str | None = None
  use_bias: bool = False
  kernel_init: Any = he_normal_fan_out
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Convolves [B,H,W,C] into [B,h,w,features]."""
    shape = (self.window, self.window, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape, jnp.float32)
    pads = _pads(self.pad, x, self.window, self.stride)
    strides = (self.stride, self.stride)
    x = ops.conv(x.astype(self.dtype), kernel.astype(self.dtype), strides, pads)
    if self.use_bias:
      bias = self.param('bias', nn.initializers.zeros_init(), (self.features,), jnp.float32)
      x = x + bias.astype(self.dtype)
    return x


class DepthwiseConv(nn.Module):
  """Convolution of every channel by itself; parameters float32, arithmetic in `dtype`.

  Attributes:
    window: kernel height and width in pixels.
    stride: step of the window in pixels.
    pad: as in `Conv`.
    dtype: dtype of the arithmetic and of the result.
  """

  window: int = 3
  stride: int = 1
  pad: int | str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Convolves [B,H,W,C] into [B,h,w,C]."""
    # He's rule: what a kernel of its own sends out is window ** 2 numbers.
    init = nn.initializers.normal(2**0.5 / self.window)
    kernel = self.param('kernel', init, (self.window, self.window, 1, x.shape[-1]), jnp.float32)
    pads = _pads(self.pad, x, self.window, self.stride)
    return depthwise_conv(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, pads)


def batch_moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Returns the mean and the biased variance of [..., C] per channel, float32 [C]."""
  x32 = x.astype(jnp.float32)
  axes = tuple(range(x.ndim - 1))
  mean = jnp.mean(x32, axes)
  return mean, jnp.maximum(jnp.mean(jnp.square(x32), axes) - jnp.square(mean), 0.0)


class BatchNorm(nn.Module):
  """Batch normalisation over all but the last axis, statistics in float32.

  In training the biased variance of the batch normalises and enters the running average, as in
  flax; torch's running average takes the unbiased one. Under a sharded `jit` the batch is the
  global one.

  Source: Ioffe and Szegedy, "Batch Normalization", 2015.

  Attributes:
    momentum: weight of the old running statistics.
    epsilon: added to the variance.
    scale_init: initialiser of the scale.
    dtype: dtype of the result.
  """

  momentum: float = 0.9
  epsilon: float = 1e-5
  scale_init: Any = nn.initializers.ones_init()
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: jax.Array, train: bool, moments: tuple[jax.Array, jax.Array] | None = None
  ) -> jax.Array:
    """Normalises [..., C] by the batch (train) or by the running statistics.

    Args:
      x: [..., C].
      train: whether the batch or the running statistics normalise.
      moments: what `batch_moments(x)` returns, where the caller has it already.

    Returns:
      An array shaped like x, of `dtype`.
    """
    shape = (x.shape[-1],)
    scale = self.param('scale', self.scale_init, shape, jnp.float32)
    bias = self.param('bias', nn.initializers.zeros_init(), shape, jnp.float32)
    mean_ = self.variable('batch_stats', 'mean', jnp.zeros, shape, jnp.float32)
    var_ = self.variable('batch_stats', 'var', jnp.ones, shape, jnp.float32)
    if train:
      mean, var = batch_moments(x) if moments is None else moments
      if not self.is_initializing():
        mean_.value = self.momentum * mean_.value + (1 - self.momentum) * mean
        var_.value = self.momentum * var_.value + (1 - self.momentum) * var
    else:
      mean, var = mean_.value, var_.value
    factor = scale * jax.lax.rsqrt(var + self.epsilon)
    return (x * factor + (bias - mean * factor)).astype(self.dtype)
