"""Flax layers over `ops`: the two that every architecture here is made of."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models import ops

he_normal_fan_out = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


class Conv(nn.Module):
  """Two-dimensional convolution; parameters float32, arithmetic in `dtype`.

  Attributes:
    features: output channels.
    window: kernel height and width in pixels.
    stride: step of the window in pixels.
    pad: zeros added on every side; None means `window // 2`.
    use_bias: adds a bias per output channel.
    kernel_init: initialiser of the kernel [window, window, C_in, features].
    dtype: dtype of the arithmetic and of the result.
  """

  features: int
  window: int = 3
  stride: int = 1
  pad: int | None = None
  use_bias: bool = False
  kernel_init: Any = he_normal_fan_out
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Convolves [B,H,W,C] into [B,h,w,features]."""
    shape = (self.window, self.window, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape, jnp.float32)
    pad = self.window // 2 if self.pad is None else self.pad
    x = ops.conv(
      x.astype(self.dtype),
      kernel.astype(self.dtype),
      (self.stride, self.stride),
      ((pad, pad), (pad, pad)),
    )
    if self.use_bias:
      bias = self.param('bias', nn.initializers.zeros_init(), (self.features,), jnp.float32)
      x = x + bias.astype(self.dtype)
    return x


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
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Normalises [..., C] by the batch (train) or by the running statistics."""
    shape = (x.shape[-1],)
    scale = self.param('scale', self.scale_init, shape, jnp.float32)
    bias = self.param('bias', nn.initializers.zeros_init(), shape, jnp.float32)
    mean_ = self.variable('batch_stats', 'mean', jnp.zeros, shape, jnp.float32)
    var_ = self.variable('batch_stats', 'var', jnp.ones, shape, jnp.float32)
    if train:
      x32 = x.astype(jnp.float32)
      axes = tuple(range(x.ndim - 1))
      mean = jnp.mean(x32, axes)
      var = jnp.maximum(jnp.mean(jnp.square(x32), axes) - jnp.square(mean), 0.0)
      if not self.is_initializing():
        mean_.value = self.momentum * mean_.value + (1 - self.momentum) * mean
        var_.value = self.momentum * var_.value + (1 - self.momentum) * var
    else:
      mean, var = mean_.value, var_.value
    factor = scale * jax.lax.rsqrt(var + self.epsilon)
    return (x * factor + (bias - mean * factor)).astype(self.dtype)
