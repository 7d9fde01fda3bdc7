"""Vision transformers S/16 and B/16 as timm's `vit_*_patch16_224` define them.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021; the sizes are those of Steiner
et al., "How to train your ViT?", 2022.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models.heads import classify
from lesionjax.models.layers import check_size, stochastic_depth

PATCH = 16
_EPSILON = 1e-6
_small = nn.initializers.truncated_normal(0.02)


class Attention(nn.Module):
  """Multi-head self-attention; queries, keys and values come from one matrix.

  Attributes:
    heads: number of heads; the width is divided among them.
    dtype: dtype of the arithmetic; the softmax is float32.
  """

  heads: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps tokens [B,N,D] to [B,N,D]."""
    batch, tokens, width = x.shape
    dense = partial(nn.Dense, kernel_init=_small, dtype=self.dtype)
    qkv = dense(3 * width, name='qkv')(x)
    qkv = qkv.reshape(batch, tokens, 3, self.heads, width // self.heads)
    x = jax.nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])
    return dense(width, name='out')(x.reshape(batch, tokens, width))


class Block(nn.Module):
  """Attention and a two-layer network, each after layer norm and with a shortcut.

  Attributes:
    heads: attention heads.
    drop_rate: share of images whose branches are dropped in training.
    dtype: dtype of the arithmetic.
  """

  heads: int
  drop_rate: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps tokens [B,N,D] to [B,N,D]."""
    norm = partial(nn.LayerNorm, _EPSILON, dtype=self.dtype)
    dense = partial(nn.Dense, kernel_init=_small, dtype=self.dtype)
    new = Attention(self.heads, self.dtype, name='attention')(norm(name='norm1')(x))
    x = x + stochastic_depth(new, self.drop_rate, train)
    new = dense(4 * x.shape[-1], name='mlp1')(norm(name='norm2')(x))
    new = dense(x.shape[-1], name='mlp2')(nn.gelu(new, approximate=False))
    return x + stochastic_depth(new, self.drop_rate, train)


class ViT(nn.Module):
  """16x16 patches, class token, position embedding, blocks, layer norm, head on the class token.

  Attributes:
    num_classes: number of logits K.
    width: channels of a token D.
    depth: number of blocks.
    heads: attention heads per block.
    grid: rows and columns of the stored position embedding (14: 224 px); for images of another
      size it is resampled.
    head: a key of `heads.HEADS`.
    dropout: share of pre-logits dropped in training.
    stochastic_depth: share of images whose block is dropped in training, rising linearly from zero
      at the first block to this at the last.
    remat: recomputes every block in the backward pass instead of keeping its insides.
    dtype: dtype of the arithmetic; parameters and logits are float32.
  """

  num_classes: int
  width: int = 384
  depth: int = 12
  heads: int = 6
  grid: int = 14
  head: str = 'linear'
  dropout: float = 0.0
  stochastic_depth: float = 0.0
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, image: jax.Array, train: bool = False
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Classifies images.

    Args:
      image: float [B,H,W,C] of at least 16 px; zeros are added at the right and at the bottom up to
        a multiple of 16.
      train: dropout and stochastic depth (need the stream 'dropout').

    Returns:
      Logits float32 [B,K] and {'last_map' [B,h,w,D], the normalised patch tokens; 'pre_logits'
      [B,D], the normalised class token}.

    Raises:
      UserError: image too small, unknown head.
    """
    check_size('vit', image, PATCH)
    # The argument `train` is number 2 of a block's call; it decides at trace time.
    block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
    x = _patches(image.astype(self.dtype))
    batch, rows, columns, _ = x.shape
    x = nn.Dense(self.width, dtype=self.dtype, name='patch_embedding')(x)
    token = self.param('class_token', nn.initializers.normal(1e-6), (1, 1, self.width))
    position = self.param('position_embedding', _small, (1, 1 + self.grid**2, self.width))
    token = jnp.broadcast_to(token, (batch, 1, self.width)).astype(self.dtype)
    x = jnp.concatenate((token, x.reshape(batch, rows * columns, self.width)), axis=1)
    x = x + _resampled(position, self.grid, rows, columns).astype(self.dtype)
    for index in range(self.depth):
      rate = self.stochastic_depth * index / max(1, self.depth - 1)
      x = block(self.heads, rate, self.dtype, name=f'block{index + 1}')(x, train)
    x = nn.LayerNorm(_EPSILON, dtype=self.dtype, name='top_norm')(x)
    pre_logits = x[:, 0].astype(jnp.float32)
    logits = classify(pre_logits, self.head, self.num_classes, self.dropout, train)
    last_map = x[:, 1:].reshape(batch, rows, columns, self.width)
    return logits, {'last_map': last_map, 'pre_logits': pre_logits}


def _patches(image: jax.Array) -> jax.Array:
  """Cuts [B,H,W,C] into patches [B,h,w,16 * 16 * C]: their embedding is then a matrix product."""
  missing = tuple(-size % PATCH for size in image.shape[1:3])
  image = jnp.pad(image, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))
  batch, height, width, channels = image.shape
  rows, columns = height // PATCH, width // PATCH
  x = image.reshape(batch, rows, PATCH, columns, PATCH, channels)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, PATCH * PATCH * channels)


def _resampled(position: jax.Array, grid: int, rows: int, columns: int) -> jax.Array:
  """The position embedding [1,1+g*g,D] for another grid: bicubic, the class token's untouched."""
  if (rows, columns) == (grid, grid):
    return position
  width = position.shape[-1]
  patches = position[:, 1:].reshape(1, grid, grid, width)
  patches = jax.image.resize(patches, (1, rows, columns, width), 'cubic', antialias=True)
  return jnp.concatenate((position[:, :1], patches.reshape(1, rows * columns, width)), axis=1)
