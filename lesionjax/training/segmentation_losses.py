"""Losses of lesion masks: one number for every image.

Notation: z logits, y mask, p = sigmoid(z); TP = sum p y, FP = sum p (1 - y), FN = sum (1 - p) y
over the pixels of one image; s `smooth`, in pixels. The overlap losses are written as the error's
share, e.g. dice = (FP + FN) / (2 TP + FP + FN + s), which is 1 - (2 TP + s) / (2 TP + FP + FN + s)
without the difference of two almost equal numbers.

Empty masks: TP = FN = 0, so the overlap losses become FP / (FP + s) up to a factor at FP: 0 where
nothing is predicted either, towards 1 where much more than s pixels are, with a gradient that takes
false pixels away. `smooth` must therefore be positive. Binary cross-entropy needs no rule.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from data_builders.errors import UserError

SegmentationLoss = Callable[[jax.Array, jax.Array], jax.Array]
"""(logits [B, H, W, 1], mask [B, H, W]) -> float32 [B]."""

# Below this error the power of `focal_tversky` is flat: its slope at 0 is infinite.
_LEAST_ERROR = 1e-7


def bce(logits: jax.Array, mask: jax.Array, pos_weight: float = 1.0) -> jax.Array:
  """Binary cross-entropy, mean over the pixels.

  loss = mean of -w y log sigmoid(z) - (1 - y) log sigmoid(-z).

  Args:
    logits: float [B, H, W, 1].
    mask: [B, H, W], 1 on the lesion, 0 elsewhere.
    pos_weight: w of lesion pixels.

  Returns:
    float32 [B], in nats.

  References:
    https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
  """
  z, y = _flat(logits, mask)
  return (pos_weight * y * jax.nn.softplus(-z) + (1 - y) * jax.nn.softplus(z)).mean(axis=1)


def dice(logits: jax.Array, mask: jax.Array, smooth: float = 1.0) -> jax.Array:
  """Soft Dice loss.

  loss = 1 - (2 TP + s) / (2 TP + FP + FN + s); 2 TP + FP + FN = sum p + sum y.

  Args:
    logits: float [B, H, W, 1].
    mask: [B, H, W], 1 on the lesion, 0 elsewhere.
    smooth: s, in pixels, above 0.

  Returns:
    float32 [B], 0..1.

  References:
    Sudre et al., Generalised Dice overlap as a deep learning loss function, DLMIA 2017, section 2;
    Milletari et al., V-Net, 3DV 2016, which squares p in the denominator.
  """
  tp, fp, fn = _soft_counts(logits, mask)
  return (fp + fn) / (2 * tp + fp + fn + smooth)


def bce_dice(
  logits: jax.Array,
  mask: jax.Array,
  dice_weight: float = 1.0,
  pos_weight: float = 1.0,
  smooth: float = 1.0,
) -> jax.Array:
  """Binary cross-entropy plus soft Dice loss.

  loss = bce + d dice.

  Args:
    logits: float [B, H, W, 1].
    mask: [B, H, W], 1 on the lesion, 0 elsewhere.
    dice_weight: d.
    pos_weight: of `bce`.
    smooth: of `dice`.

  Returns:
    float32 [B].

  References:
    Isensee et al., nnU-Net, Nature Methods 18 (2021), Methods: the sum of both, equally weighted.
  """
  return bce(logits, mask, pos_weight) + dice_weight * dice(logits, mask, smooth)


def jaccard(logits: jax.Array, mask: jax.Array, smooth: float = 1.0) -> jax.Array:
  """Soft Jaccard (intersection over union) loss.

  loss = 1 - (TP + s) / (TP + FP + FN + s).

  Args:
    logits: float [B, H, W, 1].
    mask: [B, H, W], 1 on the lesion, 0 elsewhere.
    smooth: s, in pixels, above 0.

  Returns:
    float32 [B], 0..1.

  References:
    Rahman and Wang, Optimizing intersection-over-union in deep neural networks for image
    segmentation, ISVC 2016, equations 3 to 5.
  """
  tp, fp, fn = _soft_counts(logits, mask)
  return (fp + fn) / (tp + fp + fn + smooth)


def focal_tversky(
  logits: jax.Array,
  mask: jax.Array,
  alpha: float = 0.7,
  gamma: float = 0.75,
  smooth: float = 1.0,
) -> jax.Array:
  """Focal Tversky loss: missed lesion weighs more than false lesion, hard images more than easy.

  loss = (1 - T)^g with T = (TP + s) / (TP + a FN + (1 - a) FP + s). a = 1/2 and g = 1 is `dice`
  with twice the smoothing.

  Args:
    logits: float [B, H, W, 1].
    mask: [B, H, W], 1 on the lesion, 0 elsewhere.
    alpha: a, weight of missed pixels, in 0..1.
    gamma: g, above 0; the paper writes 1 / gamma with gamma = 4/3. Errors below 1e-7 have no
      gradient: its limit is infinite for g < 1.
    smooth: s, in pixels, above 0.

  Returns:
    float32 [B], 0..1.

  References:
    Abraham and Khan, A novel focal Tversky loss function with improved attention U-Net for lesion
    segmentation, ISBI 2019, equations 3 and 4; Salehi et al., Tversky loss function, MLMI 2017.
  """
  tp, fp, fn = _soft_counts(logits, mask)
  wrong = alpha * fn + (1 - alpha) * fp
  error = wrong / (tp + wrong + smooth)
  return jnp.maximum(error, _LEAST_ERROR) ** gamma


LOSSES = {
  'dice': dice,
  'bce': bce,
  'bce_dice': bce_dice,
  'jaccard': jaccard,
  'focal_tversky': focal_tversky,
}
_RANGES = {
  'smooth': (1e-6, 1e6),
  'pos_weight': (1e-6, 1e6),
  'dice_weight': (0, 1e6),
  'alpha': (0, 1),
  'gamma': (0.1, 10),
}


def make_segmentation_loss(name: str, **settings: float) -> SegmentationLoss:
  """Returns a loss of masks by its name.

  Args:
    name: of `LOSSES`.
    **settings: of that loss; see its function.

  Raises:
    UserError: the loss or a setting is unknown, or a setting lies outside its range.
  """
  if name not in LOSSES:
    near = difflib.get_close_matches(name, LOSSES, n=1)
    hint = f' Did you mean {near[0]!r}?' if near else ''
    raise UserError(
      f'Segmentation loss {name!r} is not one of {", ".join(map(repr, LOSSES))}.{hint}'
    )
  loss: Callable[..., Any] = LOSSES[name]
  known = list(inspect.signature(loss).parameters)[2:]
  for key, value in settings.items():
    if key not in known:
      raise UserError(
        f'Segmentation loss {name!r} has no setting {key!r}; it takes {", ".join(known)}.'
      )
    low, high = _RANGES[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
      raise UserError(
        f'Setting {key!r} of segmentation loss {name!r} is {value!r}; it must be a number in '
        f'{low:g}..{high:g}.'
      )
  return partial(loss, **settings)


def _flat(logits: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Logits and mask as float32 [B, H * W]."""
  if logits.shape != (*mask.shape, 1) or mask.ndim != 3:
    # Broadcasting [B, H, W, 1] against [B, H, W] would pair every row with every image.
    raise ValueError(f'logits {logits.shape} and mask {mask.shape} are not [B, H, W, 1], [B, H, W]')
  batch = logits.shape[0]
  return (
    logits.reshape(batch, -1).astype(jnp.float32),
    mask.reshape(batch, -1).astype(jnp.float32),
  )


def _soft_counts(logits: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
  """TP, FP and FN of every image, float32 [B] each."""
  z, y = _flat(logits, mask)
  p, rest = jax.nn.sigmoid(z), jax.nn.sigmoid(-z)  # not 1 - p, which is 0 from z = 17 on
  return (p * y).sum(axis=1), (p * (1 - y)).sum(axis=1), (rest * y).sum(axis=1)
