"""Layers of generators and discriminators."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models import ops, strided
from lesionjax.models.layers import batch_moments

WINDOW = 4  # px of every strided kernel
GROUP = 4  # images that `Spread` compares
# So that the variance of a map stays the same through a leaky ReLU of slope .2.
INIT = nn.initializers.variance_scaling(2 / (1 + 0.2**2), 'fan_in', 'normal')


def leaky_relu(x: jax.Array) -> jax.Array:
  """Leaky ReLU with the slope .2 of DCGAN (Radford et al., 2016)."""
  return jnp.where(x >= 0, x, 0.2 * x)


class Up(nn.Module):
  """Transposed convolution of 4x4 px at stride 2.

  Attributes:
    features: channels out.
    use_bias: adds a bias per channel.
    kernel_init: initialiser of the kernel [4,4,C,features].
    dtype: dtype of the arithmetic and of the result.
  """

  features: int
  use_bias: bool = False
  kernel_init: Any = INIT
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B,H,W,C] to [B,2H,2W,features]."""
    shape = (WINDOW, WINDOW, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape, jnp.float32)
    x = strided.up(x.astype(self.dtype), kernel.astype(self.dtype))
    return x + self._bias() if self.use_bias else x

  def _bias(self) -> jax.Array:
    zeros = nn.initializers.zeros_init()
    return self.param('bias', zeros, (self.features,), jnp.float32).astype(self.dtype)


class Down(nn.Module):
  """Convolution of 4x4 px at stride 2 with a bias.

  Attributes:
    features: channels out.
    spectral: whether the kernel is divided by its largest singular value.
    kernel_init: initialiser of the kernel [4,4,C,features].
    dtype: dtype of the arithmetic and of the result.
  """

  features: int
  spectral: bool = False
  kernel_init: Any = INIT
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B,H,W,C] to [B,H/2,W/2,features]."""
    shape = (WINDOW, WINDOW, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape, jnp.float32)
    if self.spectral:
      kernel = Spectral(name='norm')(kernel, train)
    bias = self.param('bias', nn.initializers.zeros_init(), (self.features,), jnp.float32)
    x = strided.down(x.astype(self.dtype), kernel.astype(self.dtype))
    return x + bias.astype(self.dtype)


class Spectral(nn.Module):
  """Divides a kernel by its largest singular value, estimated by power iteration.

  The left vector `u` is state beside the batch statistics: a pure function of the state before,
  saved with every checkpoint. In training one iteration is kept; else it is made and forgotten.

  Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018.
  """

  @nn.compact
  def __call__(self, kernel: jax.Array, train: bool) -> jax.Array:
    """Returns kernel [..., D], seen as a matrix [prod(...), D], over its spectral norm."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    u = self.variable('batch_stats', 'u', self._first, (kernel.shape[-1],))
    fixed = jax.lax.stop_gradient(matrix)
    left = _unit(fixed @ u.value)
    right = _unit(left @ fixed)
    if train and not self.is_initializing():
      u.value = right
    return kernel / jnp.vdot(left, matrix @ right)

  def _first(self, shape: tuple[int, ...]) -> jax.Array:
    return _unit(jax.random.normal(self.make_rng('params'), shape))


def _unit(vector: jax.Array) -> jax.Array:
  return vector / jnp.maximum(jnp.linalg.norm(vector), 1e-12)


class Dense(nn.Module):
  """Fully connected layer with a bias; float32.

  Attributes:
    features: numbers out.
    spectral: whether the kernel is divided by its largest singular value.
  """

  features: int
  spectral: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B,C] to float32 [B,features]."""
    init = nn.initializers.lecun_normal()
    kernel = self.param('kernel', init, (x.shape[-1], self.features), jnp.float32)
    if self.spectral:
      kernel = Spectral(name='norm')(kernel, train)
    bias = self.param('bias', nn.initializers.zeros_init(), (self.features,), jnp.float32)
    return x.astype(jnp.float32) @ kernel + bias


class Same(nn.Module):
  """Convolution of 3x3 px at stride 1 with a bias.

  Attributes:
    features: channels out.
    spectral: whether the kernel is divided by its largest singular value.
    kernel_init: initialiser of the kernel [3,3,C,features].
    dtype: dtype of the arithmetic and of the result.
  """

  features: int
  spectral: bool = False
  kernel_init: Any = INIT
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B,H,W,C] to [B,H,W,features]."""
    shape = (3, 3, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape, jnp.float32)
    if self.spectral:
      kernel = Spectral(name='norm')(kernel, train)
    bias = self.param('bias', nn.initializers.zeros_init(), (self.features,), jnp.float32)
    x = ops.conv(x.astype(self.dtype), kernel.astype(self.dtype), (1, 1), ((1, 1), (1, 1)))
    return x + bias.astype(self.dtype)


class Spread(nn.Module):
  """Adds a channel that tells how much the images of a group differ: all alike are caught by it.

  Its one number is the mean over positions and channels of the standard deviation over the images
  of a group, `GROUP` that follow each other. Outside of training it is the running mean, so that
  no image is judged by those beside it.

  Source: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and
  Variation", 2018, section 3.

  Attributes:
    momentum: weight of the old running mean.
  """

  momentum: float = 0.9

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B,H,W,C] to [B,H,W,C+1]."""
    kept = self.variable('batch_stats', 'mean', jnp.zeros, (), jnp.float32)
    spread = jnp.broadcast_to(kept.value, (x.shape[0],))
    if train:
      size = math.gcd(x.shape[0], GROUP)
      groups = x.astype(jnp.float32).reshape(-1, size, *x.shape[1:])
      # A slope of the root exists where all images are equal, too.
      found = jnp.sqrt(groups.var(1) + 1e-8).mean((1, 2, 3))
      if not self.is_initializing():
        kept.value = self.momentum * kept.value + (1 - self.momentum) * found.mean()
      spread = jnp.repeat(found, size)
    plane = jnp.broadcast_to(spread[:, None, None, None], (*x.shape[:-1], 1))
    return jnp.concatenate((x, plane.astype(x.dtype)), -1)


class Embed(nn.Module):
  """A vector for every class.

  Attributes:
    num_classes: K.
    features: D.
    embedding_init: initialiser of the table [K,D].
  """

  num_classes: int
  features: int
  embedding_init: Any = nn.initializers.normal(1.0)

  @nn.compact
  def __call__(self, label: jax.Array) -> jax.Array:
    """Maps labels int [B] to float32 [B,D]."""
    shape = (self.num_classes, self.features)
    return look_up(self.param('embedding', self.embedding_init, shape, jnp.float32), label)


def look_up(table: jax.Array, label: jax.Array) -> jax.Array:
  """Rows of a table [K,D] as a product: the gradient of a lookup is slow on a CPU."""
  return jax.nn.one_hot(label, table.shape[0], dtype=table.dtype) @ table


class ConditionalNorm(nn.Module):
  """Normalisation whose scale and shift are linear functions of a condition.

  'instance' normalises every image by itself: an image does not depend on those beside it, nor a
  sample on running statistics that an average of the weights does not have. 'batch' takes the
  batch's moments, or the running ones.

  Source: de Vries et al., "Modulating early visual processing by language", 2017; Huang and
  Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017.

  Attributes:
    kind: 'instance' or 'batch'.
    momentum: weight of the old running statistics.
    epsilon: added to the variance.
    dtype: dtype of the result.
  """

  kind: str = 'instance'
  momentum: float = 0.9
  epsilon: float = 1e-5
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, condition: jax.Array, train: bool) -> jax.Array:
    """Normalises [B,H,W,C] and modulates it by the condition [B,D]."""
    features = x.shape[-1]
    init = nn.initializers.normal(0.02)
    modulation = nn.Dense(2 * features, kernel_init=init, name='modulation')(condition)
    scale, shift = jnp.split(modulation[:, None, None], 2, -1)
    mean, var = self._of_images(x) if self.kind == 'instance' else self._of_batch(x, train)
    factor = (1 + scale) * jax.lax.rsqrt(var + self.epsilon)
    return (x * factor.astype(x.dtype) + (shift - mean * factor).astype(x.dtype)).astype(self.dtype)

  def _of_images(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    x32 = x.astype(jnp.float32)
    mean = x32.mean((1, 2), keepdims=True)
    square = jnp.square(x32).mean((1, 2), keepdims=True)
    return mean, jnp.maximum(square - jnp.square(mean), 0.0)

  def _of_batch(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    shape = (x.shape[-1],)
    mean_ = self.variable('batch_stats', 'mean', jnp.zeros, shape, jnp.float32)
    var_ = self.variable('batch_stats', 'var', jnp.ones, shape, jnp.float32)
    if not train:
      return mean_.value, var_.value
    mean, var = batch_moments(x)
    if not self.is_initializing():
      mean_.value = self.momentum * mean_.value + (1 - self.momentum) * mean
      var_.value = self.momentum * var_.value + (1 - self.momentum) * var
    return mean, var


def to_image(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
  """3x3 convolution [B,H,W,C] to colours and tanh: float32 [B,H,W,3] in [-1, 1]."""
  pads = ((1, 1), (1, 1))
  x = ops.conv(x, kernel.astype(x.dtype), (1, 1), pads)
  return jnp.tanh(x.astype(jnp.float32) + bias)


class ToImage(nn.Module):
  """The last layer of a generator: see `to_image`.

  Attributes:
    kernel_init: initialiser of the kernel [3,3,C,3]; by default the first images are nearly grey.
  """

  kernel_init: Any = nn.initializers.variance_scaling(0.1, 'fan_in', 'normal')

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B,H,W,C] to images float32 [B,H,W,3] in [-1, 1]."""
    kernel = self.param('kernel', self.kernel_init, (3, 3, x.shape[-1], 3), jnp.float32)
    bias = self.param('bias', nn.initializers.zeros_init(), (3,), jnp.float32)
    return to_image(x, kernel, bias)
