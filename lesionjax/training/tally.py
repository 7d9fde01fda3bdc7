"""Sums over an epoch's training batches, kept on the device and saved with the state."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def empty(num_classes: int) -> dict[str, jax.Array]:
  """Returns the sums before the first batch: loss_sum, images and confusion [K, K]."""
  return {
    'loss_sum': jnp.zeros((), jnp.float32),
    'confusion': jnp.zeros((num_classes, num_classes), jnp.int32),
  }


def add(
  tally: dict[str, jax.Array], loss: jax.Array, logits: jax.Array, labels: jax.Array
) -> dict[str, jax.Array]:
  """Adds one batch.

  Args:
    tally: the sums so far.
    loss: float [B].
    logits: float [B, K].
    labels: int [B].

  Returns:
    The new sums; confusion counts (true class, predicted class).
  """
  num_classes = logits.shape[-1]
  true = jax.nn.one_hot(labels, num_classes, dtype=jnp.float32)
  predicted = jax.nn.one_hot(jnp.argmax(logits, -1), num_classes, dtype=jnp.float32)
  return {
    'loss_sum': tally['loss_sum'] + loss.sum(),
    'confusion': tally['confusion'] + jnp.rint(true.T @ predicted).astype(jnp.int32),
  }


def summarise(tally: dict[str, np.ndarray], class_names: tuple[str, ...]) -> dict[str, float]:
  """Turns the sums of an epoch into its training metrics.

  Args:
    tally: the sums, on the host.
    class_names: K names.

  Returns:
    loss, accuracy, balanced_accuracy and recall/<class>; a class without images is left out.
  """
  confusion = np.asarray(tally['confusion'], np.float64)
  support = confusion.sum(1)
  present = support > 0
  recall = np.divide(np.diag(confusion), support, out=np.zeros_like(support), where=present)
  images = max(support.sum(), 1.0)
  return {
    'loss': float(tally['loss_sum']) / images,
    'accuracy': float(np.trace(confusion) / images),
    'balanced_accuracy': float(recall[present].mean()) if present.any() else 0.0,
    **{f'recall/{name}': float(recall[k]) for k, name in enumerate(class_names) if present[k]},
  }
