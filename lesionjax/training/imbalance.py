"""Losses and class weights for classes of unequal size."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from data_builders.errors import UserError
from lesionjax.training import losses

WEIGHTS = ('none', 'balanced', 'effective')


def focal(logits: jax.Array, labels: jax.Array, gamma: float = 2.0) -> jax.Array:
  """Cross-entropy in which images that are classified well count for little.

  loss = -(1 - p)^gamma log p with p = softmax(logits)[label]; the text's alpha is a class weight.

  Args:
    logits: float [B, K].
    labels: int [B].
    gamma: 0 is cross-entropy.

  Returns:
    float32 [B], in nats.

  References:
    Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 4.
  """
  log_p = -losses.cross_entropy(logits, labels)
  # At p = 1 the power's derivative is infinite for gamma < 1, and infinity times 0 no number.
  rest = jnp.maximum(-jnp.expm1(log_p), jnp.finfo(jnp.float32).tiny)
  return -(rest**gamma) * log_p


def logit_adjusted(
  logits: jax.Array, labels: jax.Array, log_prior: jax.Array | np.ndarray, tau: float = 1.0
) -> jax.Array:
  """Cross-entropy of logits that are raised by the classes' share of the training images.

  loss = cross_entropy(logits + tau log prior, label). What is learned, and read without the
  addition, is the score of a world in which every class is as frequent.

  Args:
    logits: float [B, K].
    labels: int [B].
    log_prior: float [K], logarithm of the shares.
    tau: 1 is the balanced softmax.

  Returns:
    float32 [B], in nats.

  References:
    Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021 (arXiv 2007.07314).
    Ren et al., Balanced Meta-Softmax for Long-Tailed Visual Recognition, NeurIPS 2020.
  """
  return losses.cross_entropy(logits.astype(jnp.float32) + tau * jnp.asarray(log_prior), labels)


def ldam(logits: jax.Array, labels: jax.Array, margins: jax.Array | np.ndarray) -> jax.Array:
  """Cross-entropy that asks of an image's own class to lead by a margin.

  loss = cross_entropy(logits - margins[label] onehot(label), label).

  The text multiplies cosines by s after a margin is taken off. Here the logits are at that scale
  already, as those of a head named '..cosine' are, so that what is evaluated is what was trained;
  see `ldam_margins`.

  Args:
    logits: float [B, K].
    labels: int [B].
    margins: float [K], in units of the logits.

  Returns:
    float32 [B], in nats.

  References:
    Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS
    2019; https://github.com/kaidic/LDAM-DRW
  """
  own = jax.nn.one_hot(labels, logits.shape[-1], dtype=jnp.float32)
  return losses.cross_entropy(logits.astype(jnp.float32) - own * jnp.asarray(margins), labels)


def ldam_margins(counts: np.ndarray, largest: float, scale: float) -> np.ndarray:
  """Margins of LDAM: proportional to counts^(-1/4).

  Args:
    counts: training images of every class, [K], all above 0.
    largest: margin of the rarest class, as a difference of cosines.
    scale: s, of the logits: what a cosine is multiplied with.

  Returns:
    float32 [K], in units of the logits.
  """
  raw = np.asarray(counts, np.float64) ** -0.25
  return (scale * largest * raw / raw.max()).astype(np.float32)


def log_prior(counts: np.ndarray) -> np.ndarray:
  """Logarithm of the classes' shares, float32 [K]; counts [K], all above 0."""
  counts = np.asarray(counts, np.float64)
  return np.log(counts / counts.sum()).astype(np.float32)


def class_weights(name: str, counts: np.ndarray, beta: float = 0.999) -> np.ndarray:
  """Weight of every class in the loss.

  Args:
    name: 'balanced' is n / (K n_c), of mean 1 over images; 'effective' is proportional to
      (1 - beta) / (1 - beta^n_c), of mean 1 over classes.
    counts: n_c, training images of every class, [K], all above 0.
    beta: of 'effective'; 0 weighs all alike, towards 1 it becomes proportional to 1 / n_c.

  Returns:
    float32 [K].

  References:
    https://scikit-learn.org/stable/modules/generated/sklearn.utils.class_weight.compute_class_weight.html
    Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019.
  """
  counts = np.asarray(counts, np.float64)
  if name == 'balanced':
    return (counts.sum() / (len(counts) * counts)).astype(np.float32)
  # 1 - beta^n without the loss of digits that beta near 1 brings.
  weights = (1.0 - beta) / -np.expm1(counts * np.log(beta)) if beta else np.ones(len(counts))
  return (weights / weights.mean()).astype(np.float32)


def check_counts(
  counts: Sequence[int],
  class_names: Sequence[str],
  what: str,
  otherwise: str = ', or another strategy',
) -> np.ndarray:
  """Returns the counts as an array.

  Args:
    counts: training images of every class.
    class_names: K names.
    what: needs one of every class, for the message, such as "config.train.loss='ldam'".
    otherwise: what may be done instead, the end of the message.

  Raises:
    UserError: a class has no training image; names it.
  """
  if len(counts) != len(class_names):  # a caller's mistake, not a user's
    raise ValueError(f'{len(counts)} class counts for {len(class_names)} classes: {what}')
  missing = [name for name, count in zip(class_names, counts, strict=True) if not count]
  if missing:
    raise UserError(
      f'{what} needs training images of every class, and there are none of {", ".join(missing)}:'
      f' choose a config.data.classes or a training split without such a class{otherwise}.'
    )
  return np.asarray(counts)
