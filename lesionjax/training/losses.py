"""Losses of a batch: one number for every image."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cross_entropy(logits: jax.Array, labels: jax.Array, label_smoothing: float = 0.0) -> jax.Array:
  """Softmax cross-entropy with label smoothing.

  loss = -sum_k q_k log softmax(logits)_k with q = (1 - s) onehot(label) + s / K.

  Args:
    logits: float [B, K].
    labels: int [B], 0..K-1.
    label_smoothing: s, in [0, 1).

  Returns:
    float32 [B], in nats.

  References:
    Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016, section 7.
  """
  log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
  hit = jnp.take_along_axis(log_p, labels[:, None], axis=-1)[:, 0]
  return -(1.0 - label_smoothing) * hit - label_smoothing * log_p.mean(axis=-1)
