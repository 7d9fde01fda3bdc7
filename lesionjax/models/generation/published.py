"""The conditional GAN of recipe 1 as published: label times noise, label plane, DCGAN layers.

What the publication leaves open is Keras' default: Glorot's kernels, embeddings uniform in +-.05,
batch norm that forgets with .99 and adds .001 to the variance; the layer to three colours, of which
it says only tanh, is a 3x3 convolution.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models.generation.blocks import Down, Embed, ToImage, Up, leaky_relu
from lesionjax.models.layers import BatchNorm

STRIDE = 8  # three doublings; 64 px start from a map of 8x8
_GLOROT = nn.initializers.glorot_uniform()


def _uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
  return jax.random.uniform(key, shape, dtype, -0.05, 0.05)


class PublishedGenerator(nn.Module):
  """Label embedding times noise, a dense layer to 256 maps, three transposed convolutions.

  Attributes:
    num_classes: K.
    size_px: height and width of the images.
    widths: channels of the dense layer's map and of the three convolutions.
    dtype: dtype of the arithmetic; images are float32.
  """

  num_classes: int
  size_px: int
  widths: tuple[int, ...] = (256, 128, 64, 32)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, latent: jax.Array, label: jax.Array, train: bool) -> jax.Array:
    """Maps latents [B,Z] and labels int [B] to images float32 [B,S,S,3] in [-1, 1]."""
    embedded = Embed(self.num_classes, latent.shape[-1], _uniform, name='label')(label)
    first, *rest = self.widths
    side = self.size_px // STRIDE
    dense = nn.Dense(side * side * first, kernel_init=_GLOROT, dtype=self.dtype, name='dense')
    x = dense(latent * embedded).reshape(-1, side, side, first)
    for number, width in enumerate(rest, 1):
      x = Up(width, True, _GLOROT, self.dtype, name=f'up{number}')(x)
      norm = BatchNorm(momentum=0.99, epsilon=1e-3, dtype=self.dtype, name=f'norm{number}')
      x = leaky_relu(norm(x, train))
    return ToImage(_GLOROT, name='image')(x)


class PublishedDiscriminator(nn.Module):
  """The label as a fourth plane of the image, three convolutions at stride 2, one logit.

  Attributes:
    num_classes: K.
    widths: channels of the convolutions.
    dropout: rate behind each of them.
    dtype: dtype of the arithmetic; logits are float32.
  """

  num_classes: int
  widths: tuple[int, ...] = (64, 128, 256)
  dropout: float = 0.3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image: jax.Array, label: jax.Array, train: bool) -> jax.Array:
    """Maps images [B,S,S,3] in [-1, 1] and labels int [B] to logits float32 [B]."""
    height, width = image.shape[1:3]
    plane = Embed(self.num_classes, height * width, _uniform, name='label')(label)
    plane = plane.reshape(-1, height, width, 1)
    x = jnp.concatenate((image.astype(self.dtype), plane.astype(self.dtype)), -1)
    for number, features in enumerate(self.widths, 1):
      down = Down(features, kernel_init=_GLOROT, dtype=self.dtype, name=f'down{number}')
      x = leaky_relu(down(x, train))
      x = nn.Dropout(self.dropout, deterministic=not train)(x)
    x = x.reshape(x.shape[0], -1).astype(jnp.float32)
    return nn.Dense(1, kernel_init=_GLOROT, name='logit')(x)[:, 0]
