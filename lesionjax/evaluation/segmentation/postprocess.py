"""Probabilities to a mask: threshold, largest component, holes filled; fitted on validation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_builders.cleaning import regions
from data_builders.errors import UserError
from lesionjax.evaluation.segmentation.metrics import as_binary

THRESHOLDS = tuple(round(0.1 + 0.05 * step, 2) for step in range(17))  # 0.1 .. 0.9
_STEPS = ((False, False), (True, False), (False, True), (True, True))  # the simplest first


@dataclasses.dataclass(frozen=True)
class Postprocess:
  """What becomes of a map of probabilities, in this order; the default is the plain threshold.

  Attributes:
    threshold: least probability of a lesion pixel, above 0 and below 1.
    largest_component: only the largest 8-connected region stays.
    fill_holes: background that no path of 4-neighbours joins to the border becomes lesion.
  """

  threshold: float = 0.5
  largest_component: bool = False
  fill_holes: bool = False

  def __post_init__(self):
    number = isinstance(self.threshold, int | float) and not isinstance(self.threshold, bool)
    if not number or not 0 < self.threshold < 1:
      raise UserError(
        f'Post-processing threshold {self.threshold!r} must be a number between 0 and 1.'
      )

  def __call__(self, probabilities: np.ndarray) -> np.ndarray:
    """The mask of one image.

    Args:
      probabilities: float [H, W], 0..1.

    Returns:
      bool [H, W].

    Raises:
      UserError: the array is no map of probabilities (logits, levels 0..255, nan).
    """
    probabilities = _checked(probabilities)
    # In the array's own precision, or float32's 0.7 would lie below the threshold 0.7.
    mask = probabilities >= probabilities.dtype.type(self.threshold)
    return _clean(mask, self.largest_component, self.fill_holes)

  def to_dict(self) -> dict[str, Any]:
    """Plain values for JSON."""
    return dataclasses.asdict(self)

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> Postprocess:
    """The inverse of `to_dict`.

    Raises:
      UserError: a key is missing or unknown, or a value is not allowed.
    """
    known = {field.name for field in dataclasses.fields(cls)}
    if not isinstance(values, Mapping):
      raise UserError(
        f'Post-processing must have the keys {", ".join(sorted(known))}; it is {values!r}.'
      )
    if set(values) != known:
      raise UserError(
        f'Post-processing must have exactly the keys {", ".join(sorted(known))}, not '
        f'{", ".join(sorted(map(str, values))) or "none"}.'
      )
    for key in ('largest_component', 'fill_holes'):
      if not isinstance(values[key], bool):
        raise UserError(f'Post-processing {key} is {values[key]!r}; it must be true or false.')
    return cls(**values)


def fit(probabilities: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> Postprocess:
  """Chooses threshold and steps by the mean Dice over images; never on test images.

  All of 17 thresholds (0.1, 0.15 .. 0.9) with both steps on and off are tried. Dice of two empty
  masks is 1, as in `metrics`. Of equally good choices the one with fewer steps, then the threshold
  nearest to 0.5 is taken.

  Args:
    probabilities: N maps float [H, W], 0..1, of validation images; sizes may differ.
    masks: N true masks, binary, of the same sizes.

  Returns:
    The best post-processing.

  Raises:
    UserError: there are no images, numbers or sizes differ, or values are not allowed.
  """
  if len(probabilities) != len(masks) or not len(masks):
    raise UserError(
      f'Post-processing is fitted on pairs: there are {len(probabilities)} predictions and '
      f'{len(masks)} masks of validation images; give at least one of each.'
    )
  total = np.zeros((len(_STEPS), len(THRESHOLDS)))
  for index, (each, truth) in enumerate(zip(probabilities, masks, strict=True)):
    each, truth = _checked(each), as_binary(truth, f'true mask of image {index}')
    if each.shape != truth.shape:
      raise UserError(
        f'Prediction {index} has shape {each.shape} and its mask {truth.shape}: predict at the '
        'size of the mask.'
      )
    total += _dices(each, truth)
  order = sorted(range(len(THRESHOLDS)), key=lambda i: abs(THRESHOLDS[i] - 0.5))
  best = np.round(total[:, order] / len(masks), 12).argmax()  # the first of equals
  steps, at = divmod(int(best), len(THRESHOLDS))
  return Postprocess(THRESHOLDS[order[at]], *_STEPS[steps])


def _dices(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """Dice of one image for every choice, [4, 17]."""
  lesion = np.count_nonzero(truth)
  result = np.empty((len(_STEPS), len(THRESHOLDS)))
  for column, threshold in enumerate(THRESHOLDS):
    mask = probabilities >= probabilities.dtype.type(threshold)
    for row, steps in enumerate(_STEPS):
      cleaned = _clean(mask, *steps)
      size = np.count_nonzero(cleaned) + lesion
      result[row, column] = 2 * np.count_nonzero(cleaned & truth) / size if size else 1.0
  return result


def _clean(mask: np.ndarray, largest: bool, fill: bool) -> np.ndarray:
  mask = regions.largest_component(mask) if largest else mask
  return regions.fill_holes(mask) if fill else mask


def _checked(probabilities: np.ndarray) -> np.ndarray:
  probabilities = np.asarray(probabilities)
  if probabilities.ndim != 2 or not np.issubdtype(probabilities.dtype, np.floating):
    raise UserError(
      f'Probabilities of a mask are {probabilities.dtype} {probabilities.shape}; expected floats '
      '[height, width].'
    )
  # Written so that nan fails too.
  if not (probabilities.min(initial=0) >= 0 and probabilities.max(initial=1) <= 1):
    raise UserError(
      f'Probabilities of a mask span {probabilities.min():g}..{probabilities.max():g}; they must '
      'lie in 0..1: apply the sigmoid to logits.'
    )
  return probabilities
