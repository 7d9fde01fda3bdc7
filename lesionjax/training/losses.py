"""Losses of a batch: one number for every image."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

Loss = Callable[[jax.Array, jax.Array], jax.Array]
"""(logits [B, K], labels int [B]) -> float32 [B]."""

NAMES = ('cross_entropy', 'bce', 'focal', 'logit_adjusted', 'ldam')

WEIGHTED = ('cross_entropy', 'focal', 'ldam')
"""Those that class weights go with."""


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


def binary_cross_entropy(
  logits: jax.Array, labels: jax.Array, pos_weight: float | jax.Array = 1.0
) -> jax.Array:
  """Logistic loss in which positive images weigh more.

  loss = -w y log sigmoid(z) - (1 - y) log sigmoid(-z) with z = logits[1] - logits[0], so that
  softmax(logits)[1] is the probability that the loss is about.

  Args:
    logits: float [B, 2].
    labels: int [B]; 1 is positive.
    pos_weight: w; negatives / positives makes both classes weigh alike.

  Returns:
    float32 [B], in nats.

  References:
    https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
  """
  logits = logits.astype(jnp.float32)
  margin = logits[:, 1] - logits[:, 0]
  return jnp.where(labels == 1, pos_weight * jax.nn.softplus(-margin), jax.nn.softplus(margin))
