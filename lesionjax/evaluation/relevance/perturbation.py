"""Deletion and insertion: what the score does when the most relevant pixels go, or come, first."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Scores = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(uint8 [M, H, W, 3], int [M] classes) -> float [M], the probability of that class."""

# Standard deviation as a share of the short side. The authors have 5 px at 224 px, which leaves a
# lesion what it is: it is larger than the parts of most objects.
_BLUR = 0.05


def ranks(relevance: np.ndarray, seed: int = 0) -> np.ndarray:
  """Rank of every pixel, 0 for the most relevant, int64 [H, W].

  Pixels of equal relevance come in random order: maps are 0 over wide areas, which in the order of
  their rows would be wiped out from the top.
  """
  shuffled = np.random.default_rng(seed).permutation(relevance.size)
  order = shuffled[np.argsort(-relevance.ravel()[shuffled], kind='stable')]
  found = np.empty(relevance.size, np.int64)
  found[order] = np.arange(relevance.size)
  return found.reshape(relevance.shape)


def blurred(image: np.ndarray) -> np.ndarray:
  """The image uint8 [H, W, 3] so blurred that its structure is gone, its colours are not."""
  return cv2.GaussianBlur(image, (0, 0), _BLUR * min(image.shape[:2]))


def mean_colour(image: np.ndarray) -> np.ndarray:
  """The image uint8 [H, W, 3] in its own mean colour."""
  return np.broadcast_to(np.rint(image.mean((0, 1))).astype(np.uint8), image.shape).copy()


def perturbed(
  image: np.ndarray, rank: np.ndarray, fractions: np.ndarray, deletion: bool
) -> np.ndarray:
  """The images of one curve.

  Args:
    image: uint8 [H, W, 3].
    rank: int [H, W], from `ranks`.
    fractions: float [F] in 0..1, of the pixels that are deleted or inserted.
    deletion: whether pixels are replaced by the image's mean colour, most relevant first, or put,
      most relevant first, into the blurred image.

  Returns:
    uint8 [F, H, W, 3].

  Source: Petsiuk, Das and Saenko, RISE, BMVC (2018), 4.1: a constant for deletion, a blurred image
  for insertion, whose sharp edges would otherwise be evidence of their own.
  """
  changed = rank < np.rint(fractions * rank.size)[:, None, None]
  if deletion:
    return np.where(changed[..., None], mean_colour(image), image)
  return np.where(changed[..., None], image, blurred(image))


def curves(
  scores: Scores,
  images: np.ndarray,
  classes: np.ndarray,
  relevance: np.ndarray,
  steps: int = 8,
  seed: int = 0,
) -> dict[str, np.ndarray]:
  """Deletion and insertion curves.

  Args:
    scores: what the network says of images.
    images: uint8 [N, H, W, 3], as the network sees them.
    classes: int [N], whose probability is followed.
    relevance: float [N, H, W].
    steps: number of equal parts of the pixels.
    seed: of the order of equally relevant pixels.

  Returns:
    'deletion' and 'insertion', float64 [N, steps + 1]: the probability with 0, 1/steps ... 1 of the
    pixels deleted, inserted. `area_under` makes one number of a curve.
  """
  fractions = np.linspace(0, 1, steps + 1)
  found: dict[str, list[np.ndarray]] = {'deletion': [], 'insertion': []}
  for row, (image, one) in enumerate(zip(images, relevance, strict=True)):
    rank = ranks(one, seed + row)
    # Both curves at once, the whole image once: so many images of one shape a call.
    both = np.concatenate(
      [
        perturbed(image, rank, fractions, deletion=True),
        perturbed(image, rank, fractions[:-1], deletion=False),
      ]
    )
    values = np.asarray(scores(both, np.full(len(both), classes[row])), np.float64)
    found['deletion'].append(values[: steps + 1])
    found['insertion'].append(np.append(values[steps + 1 :], values[0]))
  shape = (len(images), steps + 1)
  return {name: np.array(values).reshape(shape) for name, values in found.items()}


def area_under(curve: np.ndarray) -> np.ndarray:
  """Area under curves [N, F] over the share of pixels from 0 to 1, by trapezia: float64 [N]."""
  return np.trapezoid(curve, dx=1 / (curve.shape[1] - 1), axis=1)


def random_maps(count: int, shape: tuple[int, int], cells: int, seed: int = 0) -> np.ndarray:
  """Maps that know nothing, to hold deletion and insertion against.

  A score also falls when pixels go at random, and single pixels, which make noise, hurt more than
  a region does: a map is compared with random ones of its own grain.

  Args:
    count: N.
    shape: height and width in px.
    cells: a side has so many independent values, smooth between; 0: every pixel is independent.
    seed: of the values.

  Returns:
    float32 [N, H, W] in 0..1.
  """
  rng = np.random.default_rng(seed)
  if not cells:
    return rng.random((count, *shape), np.float32)
  size = shape[1], shape[0]
  grids = rng.random((count, cells, cells), np.float32)
  return np.stack([cv2.resize(grid, size, interpolation=cv2.INTER_LINEAR) for grid in grids])
