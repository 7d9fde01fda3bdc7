"""Convolutional LSTM over short sequences of maps, written out step by step.

No scan: the sequences of BCDU-Net are two maps long, and written out XLA sees ordinary
convolutions and nothing of the state of zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models.layers import Conv

_GATES = 4  # input, forget, candidate, output: Keras' order


class ConvLSTM(nn.Module):
  """ConvLSTM without peepholes, from a state of zeros; returns the last hidden map.

  i, f, o = sigmoid(x * W + h * U + b); c' = f c + i tanh(x * W_c + h * U_c + b_c);
  h' = o tanh(c'), with * a 3x3 convolution over zero padding. The forget gate's bias starts at one.

  Source: Shi et al., "Convolutional LSTM Network", 2015; without the peepholes and with the order
  of gates of Keras' ConvLSTM2D, which BCDU-Net uses.

  Attributes:
    features: channels of the state.
    dtype: dtype of the arithmetic and of the result.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, sequence: Sequence[jax.Array]) -> jax.Array:
    """Maps one or more maps [B,H,W,C] to [B,H,W,features]."""
    glorot, orthogonal = nn.initializers.glorot_uniform(), nn.initializers.orthogonal()
    conv = partial(Conv, _GATES * self.features, dtype=self.dtype)
    of_input = conv(kernel_init=glorot, name='input')
    of_state = conv(kernel_init=orthogonal, name='recurrent')
    bias = self.param('bias', _forget_one, (_GATES * self.features,), jnp.float32)
    hidden, cell = None, None
    for x in sequence:
      gates = of_input(x) + bias.astype(self.dtype)
      if hidden is not None:  # the first state is zero, and so is what a convolution makes of it
        gates = gates + of_state(hidden)
      i, f, candidate, o = jnp.split(gates, _GATES, -1)
      new = nn.sigmoid(i) * jnp.tanh(candidate)
      cell = new if cell is None else nn.sigmoid(f) * cell + new
      hidden = nn.sigmoid(o) * jnp.tanh(cell)
    assert hidden is not None
    return hidden


def _forget_one(key: Any, shape: tuple[int, ...], dtype: Any) -> jax.Array:
  """Zeros, and ones for the forget gate (Jozefowicz et al., 2015)."""
  del key
  features = shape[0] // _GATES
  return jnp.zeros(shape, dtype).at[features : 2 * features].set(1)


class BidirectionalConvLSTM(nn.Module):
  """Reads a sequence forwards with one ConvLSTM and backwards with another.

  Both last hidden maps lie side by side; the convolution that follows mixes them, as W_y of the
  paper's equation 7 does.

  Source: Azad et al., "Bi-Directional ConvLSTM U-Net with Densley Connected Convolutions", 2019.
  Its published code runs one direction only (`ConvLSTM2D(..., go_backwards=True)`):
  `bidirectional=False` is that, read backwards.

  Attributes:
    features: channels of the state of either direction.
    bidirectional: False leaves the forward direction out.
    dtype: dtype of the arithmetic and of the result.
  """

  features: int
  bidirectional: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, sequence: Sequence[jax.Array]) -> jax.Array:
    """Maps maps [B,H,W,C] to [B,H,W,features], or twice the features when bidirectional."""
    backward = ConvLSTM(self.features, self.dtype, name='backward')(list(sequence)[::-1])
    if not self.bidirectional:
      return backward
    forward = ConvLSTM(self.features, self.dtype, name='forward')(sequence)
    return jnp.concatenate((forward, backward), -1)
