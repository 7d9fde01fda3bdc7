"""An auxiliary target for classifiers: the last map should be strong where the lesion is."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

_TINY = 1e-8


def attention_loss(last_map: jax.Array, mask: jax.Array) -> jax.Array:
  """Divergence of the last map's energy from the lesion.

  With a = sum_c x_c^2 of a position over that of all, and t = the lesion's share of the position's
  field over that of all, the loss is KL(t || a) = sum t log(t / a): 0 where the energy is spread
  as the lesion, large where the lesion is passed over. The mask is needed in training only, and
  there are no parameters beside the classifier's.

  Args:
    last_map: [B, h, w, C], the last convolutional map.
    mask: [B, H, W] of 0 and 1; H and W at least h and w.

  Returns:
    float32 [B], in nats; 0 for an empty mask.

  References:
    Zagoruyko and Komodakis, Paying more attention to attention, ICLR 2017 (energy as attention).
  """
  batch, height, width, _ = last_map.shape
  energy = jnp.square(last_map.astype(jnp.float32)).sum(axis=-1).reshape(batch, -1)
  attention = (energy + _TINY) / (energy + _TINY).sum(axis=1, keepdims=True)
  rows, columns = _areas(mask.shape[1], height), _areas(mask.shape[2], width)
  shares = jnp.einsum('hy,byx,wx->bhw', rows, mask.astype(jnp.float32), columns)
  shares = shares.reshape(batch, -1)
  total = shares.sum(axis=1, keepdims=True)
  target = shares / jnp.maximum(total, _TINY)
  divergence = target * (jnp.log(target + _TINY) - jnp.log(attention))
  return jnp.where(total[:, 0] > 0, divergence.sum(axis=1), 0.0)


def _areas(pixels: int, positions: int) -> np.ndarray:
  """Which share of every position's field each pixel is, float32 [positions, pixels]."""
  edges = np.linspace(0, pixels, positions + 1)
  left, right = edges[:-1, None], edges[1:, None]
  pixel = np.arange(pixels)
  overlap = np.minimum(right, pixel + 1) - np.maximum(left, pixel)
  return (np.maximum(overlap, 0) / (right - left)).astype(np.float32)
