"""Metrics of one predicted mask against the true one.

With tp, fp, fn, tn counted over the pixels of one image:

    dice               2 tp / (2 tp + fp + fn)     1 where both masks are empty
    jaccard            tp / (tp + fp + fn)         1 where both masks are empty
    threshold_jaccard  jaccard where it is at least 0.65, else 0
    pixel_accuracy     (tp + tn) / all
    sensitivity        tp / (tp + fn)              1 where the true mask is empty
    specificity        tn / (tn + fp)              1 where the true mask is all lesion
    hd95_percent       see below                   nan where either mask is empty
    failure            1 where jaccard < 0.65, else 0: the image adds nothing to threshold_jaccard

The first six and their rules for empty masks are those of the official scorer of the ISIC
challenge (package `isic-challenge-scoring`), which this module equals.

hd95_percent is the 95 % Hausdorff distance in percent of the image's diagonal sqrt(H^2 + W^2). A
mask's boundary is its pixels of which one of the four neighbours is not in it; what lies beyond the
image is not, so where a lesion is cut by the image its boundary runs along the edge. From every
boundary pixel of one mask the Euclidean distance to the nearest one of the other is taken (centre
to centre, so coinciding boundaries are at 0); of each direction's distances the 95th percentile
(linear interpolation); of the two percentiles the larger one. Masks of which one is empty have no
distance; a mean leaves these images out and must say how many they are.

Sources: Codella et al., Skin lesion analysis toward melanoma detection 2018, arXiv 1902.03368
(below a Jaccard of 0.65 a segmentation counts as failed, from the disagreement of experts);
Maier-Hein et al., Metrics reloaded, Nature Methods 21 (2024), for the direction-wise percentiles.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from data_builders.errors import UserError

FAILURE_JACCARD = 0.65
NAMES = (
  'dice',
  'jaccard',
  'threshold_jaccard',
  'pixel_accuracy',
  'sensitivity',
  'specificity',
  'hd95_percent',
  'failure',
)
_PERCENTILE = 95


def as_binary(mask: np.ndarray, what: str = 'mask') -> np.ndarray:
  """A mask as bool [H, W].

  Args:
    mask: bool [H, W], or any numbers of which all are 0 or 1, or 0 or 255.
    what: how a mistake names it, e.g. 'predicted mask of ISIC_0000000'.

  Raises:
    UserError: it is not two-dimensional, has no pixels, or is not binary.
  """
  mask = np.asarray(mask)
  if mask.ndim != 2 or mask.size == 0:
    raise UserError(
      f'The {what} has shape {mask.shape}; a mask is one plane [height, width]: decode it to grey.'
    )
  if mask.dtype == bool:
    return mask
  high = mask.max()
  if high not in (0, 1, 255) or not ((mask == 0) | (mask == high)).all():
    raise UserError(
      f'The {what} is not binary: it holds {_some(mask)}; allowed are 0 and 1, or 0 and 255: '
      'threshold probabilities, and store masks as PNG.'
    )
  return mask > 0


def image_metrics(
  prediction: np.ndarray, mask: np.ndarray, name: str = 'image'
) -> dict[str, float]:
  """Every metric of the module's table for one image.

  Args:
    prediction: binary [H, W], see `as_binary`.
    mask: the truth, binary [H, W].
    name: image id, for messages.

  Returns:
    Value by name of `NAMES`.

  Raises:
    UserError: a mask is not binary, or they differ in size.
  """
  prediction = as_binary(prediction, f'predicted mask of {name}')
  mask = as_binary(mask, f'true mask of {name}')
  if prediction.shape != mask.shape:
    sizes = [f'{plane.shape[1]}x{plane.shape[0]}' for plane in (prediction, mask)]
    raise UserError(
      f'The predicted mask of {name} is {sizes[0]} and the true one {sizes[1]} pixels; '
      'resize the prediction to the size of the truth.'
    )
  tp = int(np.count_nonzero(prediction & mask))
  fp, fn = int(np.count_nonzero(prediction)) - tp, int(np.count_nonzero(mask)) - tp
  tn = mask.size - tp - fp - fn
  jaccard = _share(tp, tp + fp + fn)
  failed = jaccard < FAILURE_JACCARD
  return {
    'dice': _share(2 * tp, 2 * tp + fp + fn),
    'jaccard': jaccard,
    'threshold_jaccard': 0.0 if failed else jaccard,
    'pixel_accuracy': (tp + tn) / mask.size,
    'sensitivity': _share(tp, tp + fn),
    'specificity': _share(tn, tn + fp),
    'hd95_percent': _hd95_percent(prediction, mask),
    'failure': float(failed),
  }


def measure(
  predictions: Iterable[np.ndarray], masks: Iterable[np.ndarray], names: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
  """Every metric of every image; images may differ in size.

  Args:
    predictions: N binary masks [H, W]; read one by one, so that a generator needs no memory.
    masks: N true masks of the same sizes.
    names: N image ids, for messages; None numbers them.

  Returns:
    float64 [N] by name of `NAMES`; nan only in hd95_percent.

  Raises:
    UserError: as in `image_metrics`, or the numbers of images differ.
  """
  labels = names if names is not None else _numbered()
  rows: list[dict[str, float]] = []
  pairs = iter(masks)
  for prediction, name in zip(predictions, labels, strict=names is not None):
    try:
      mask = next(pairs)
    except StopIteration:
      raise UserError(
        f'There are {len(rows)} true masks but more predictions: pair them.'
      ) from None
    rows.append(image_metrics(prediction, mask, name))
  if next(pairs, None) is not None:
    raise UserError(f'There are {len(rows)} predicted masks but more true ones: pair them.')
  return {name: np.array([row[name] for row in rows], np.float64) for name in NAMES}


def _numbered() -> Iterable[str]:
  index = 0
  while True:
    yield f'image {index}'
    index += 1


def _share(part: int, whole: int) -> float:
  """The quotient; 1 for nothing of nothing, as the official scorer has it."""
  return part / whole if whole else 1.0


def _hd95_percent(first: np.ndarray, second: np.ndarray) -> float:
  if not first.any() or not second.any():
    return float('nan')
  edges = [_boundary(first), _boundary(second)]
  percentiles = [
    np.percentile(_distance_to(there)[here], _PERCENTILE)
    for here, there in (edges, reversed(edges))
  ]
  return float(100 * max(percentiles) / np.hypot(*first.shape))


def _boundary(mask: np.ndarray) -> np.ndarray:
  """Pixels of which one of the four neighbours is not in the mask, bool [H, W]."""
  cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
  inner = cv2.erode(
    mask.astype(np.uint8), cross, borderType=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0)
  )
  return mask & (inner == 0)


def _distance_to(pixels: np.ndarray) -> np.ndarray:
  """Exact Euclidean distance in pixels to the nearest of some pixels, float32 [H, W]."""
  return cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _some(mask: np.ndarray) -> str:
  values = np.unique(mask)
  shown = ', '.join(f'{value:g}' for value in values[:4])
  return shown if len(values) <= 4 else f'{shown} and {len(values) - 4} other values'
