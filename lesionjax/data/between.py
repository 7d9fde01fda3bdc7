"""Which two real images one that `data.resample` mixed from pixels lies between, for pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from lesionjax.data.resample import as_bytes, check_counts, check_memory, fill, to_fill


@dataclasses.dataclass(frozen=True)
class Between:
  """Some of the rows that were added, and what each is a mixture of.

  Attributes:
    images: uint8 [M, H, W, 3].
    labels: int [M].
    parents: int64 [M, 2], rows of the images that were given: the one that was multiplied, and the
      neighbour.
    shares: float64 [M], how far it lies from the first to the second, 0 to 1.
  """

  images: np.ndarray
  labels: np.ndarray
  parents: np.ndarray
  shares: np.ndarray


def between_pixels(
  pixels: np.ndarray,
  labels: np.ndarray,
  class_names: Sequence[str],
  method: str,
  neighbours: int,
  seed: int,
  most: int,
) -> tuple[Between, np.ndarray]:
  """Tells of some images that `resample_pixels` adds which two real ones each lies between.

  Args:
    pixels: of the training images, uint8 [N, H, W, 3].
    labels: int [N].
    class_names: K names.
    method: of `METHODS`.
    neighbours: k.
    seed: of the run.
    most: images of a class, evenly spread over those that were added.

  Returns:
    The images, and how many were added to every class, int64 [K].

  Raises:
    UserError: as `resample_pixels`.
  """
  check_counts(labels, class_names, method, neighbours)
  flat = pixels.reshape(len(pixels), -1)
  check_memory(flat.shape, labels, 1, method)
  values = flat.astype(np.float32)
  images, added = [flat[:0]], np.zeros(len(class_names), np.int64)
  own, pairs, shares = [labels[:0]], [np.zeros((0, 2), np.int64)], [np.zeros(0)]
  for label in to_fill(labels):
    new = fill(values, labels, label, method, neighbours, seed, class_names)
    added[label] = len(new)
    new = new[np.unique(np.linspace(0, len(new) - 1, min(most, len(new))).round().astype(int))]
    members = np.flatnonzero(labels == label)
    found, share = _parents(new, values[members], neighbours)
    images.append(as_bytes(new))
    own.append(np.full(len(new), label, labels.dtype))
    pairs.append(members[found])
    shares.append(share)
  shown = np.concatenate(images).reshape(-1, *pixels.shape[1:])
  return Between(shown, *(np.concatenate(part) for part in (own, pairs, shares))), added


def _parents(
  new: np.ndarray, members: np.ndarray, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
  """Finds the pair (row, one of its nearest) on whose segment each new row lies.

  The library does not tell; of all pairs it may draw, the right one has no distance to the row.
  """
  from sklearn.neighbors import NearestNeighbors

  nearest = NearestNeighbors(n_neighbors=neighbours + 1).fit(members)
  length, other = nearest.kneighbors(members)
  length = np.square(length, dtype=np.float64)
  pairs, shares = np.zeros((len(new), 2), np.int64), np.zeros(len(new))
  for at, row in enumerate(new):
    off = members - row
    far = np.einsum('nd,nd->n', off, off, dtype=np.float64)
    along = (far[:, None] + length - far[other]) / 2  # (row - a) (b - a)
    share = np.clip(np.divide(along, length, out=np.zeros_like(along), where=length > 0), 0, 1)
    missed = far[:, None] - 2 * share * along + share**2 * length
    missed[other == np.arange(len(members))[:, None]] = np.inf  # a row and itself
    first, column = np.unravel_index(missed.argmin(), missed.shape)
    pairs[at], shares[at] = (first, other[first, column]), share[first, column]
  return pairs, shares
