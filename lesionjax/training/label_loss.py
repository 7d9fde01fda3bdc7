"""config.train -> the loss of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax.models.heads import COSINE_SCALE
from lesionjax.training import imbalance, losses


def make_label_loss(
  train: ConfigDict, class_names: Sequence[str], class_counts: Sequence[int] = ()
) -> losses.Loss:
  """Returns the loss that `config.train` names, with its class weights.

  Args:
    train: the section of the configuration.
    class_names: K names; 'bce' takes two.
    class_counts: training images of every class, of the split as it is: neither sampling nor
      resampling changes them. Only 'logit_adjusted', 'ldam' and class weights look at them.

  Returns:
    (logits [B, K], labels [B]) -> loss of every image. Weights are not divided by their sum over
    the batch, so that an image weighs the same in every batch, whatever `accumulate` is.

  Raises:
    UserError: 'bce' with other than two classes, or a class without images where one is needed.
  """
  loss = _unweighted(train, class_names, class_counts)
  if train.class_weights == 'none':
    return loss
  what = f'config.train.class_weights={train.class_weights!r}'
  counts = imbalance.check_counts(class_counts, class_names, what)
  weights = imbalance.class_weights(train.class_weights, counts, train.effective_beta)

  def weighted(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return jnp.asarray(weights)[labels] * loss(logits, labels)

  return weighted


def _unweighted(
  train: ConfigDict, class_names: Sequence[str], class_counts: Sequence[int]
) -> losses.Loss:
  name = train.loss
  if name == 'cross_entropy':
    return partial(losses.cross_entropy, label_smoothing=train.label_smoothing)
  if name == 'focal':
    return partial(imbalance.focal, gamma=train.focal_gamma)
  if name == 'bce':
    if len(class_names) != 2:
      raise UserError(
        f"config.train.loss='bce' takes two classes, not {len(class_names)}: set"
        " config.data.classes='binary', or config.train.loss='cross_entropy'."
      )
    return partial(losses.binary_cross_entropy, pos_weight=train.pos_weight)
  counts = imbalance.check_counts(class_counts, class_names, f'config.train.loss={name!r}')
  if name == 'ldam':
    # In units of the logits, which the head has multiplied.
    margins = imbalance.ldam_margins(counts, train.ldam_margin, COSINE_SCALE)
    return partial(imbalance.ldam, margins=margins)
  prior = imbalance.log_prior(counts)
  return partial(imbalance.logit_adjusted, log_prior=prior, tau=train.logit_adjustment)
