"""Which of N^2 / 2 pairs of images might show one lesion: votes of alike keypoints.

Descriptors are put into cells (an inverted multi-index: two k-means quantisers, each on half of
the leading principal components) and compared only within a cell, by 64-bit codes (Hamming
embedding: Jegou, Douze and Schmid, ECCV 2008). Two keypoints that are alike say where the centre
of the one image would lie in the other, at what angle and scale; a pair of images of one lesion is
a pair whose keypoints say the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np

from lesionjax.evaluation.keypoints import Keypoints

_COMPONENTS = 64  # principal components, and bits of a code
_COARSE = 24  # of these choose the cell
_SAMPLE = 50_000  # descriptors that the quantisers are fitted on
_CENTRES = 256  # per quantiser, for a large collection
_KEYPOINTS_PER_CELL = 8  # aimed at where the collection is smaller than that
_MAX_CELL = 3000  # more alike keypoints than this are hair, rulers and dark corners
_MAX_BITS = 12  # that differ between the codes of alike keypoints
_BLOCK = 512  # images whose votes are counted at a time
_BIN_PX, _BIN_DEG, _BIN_OCTAVES = 32.0, 45.0, 1.0


@dataclasses.dataclass(frozen=True)
class Candidates:
  """Pairs of images, first < second: int64 [P] each, and the votes for each, int64 [P]."""

  first: np.ndarray
  second: np.ndarray
  votes: np.ndarray


def propose(
  keypoints: Keypoints, groups: np.ndarray | None = None, per_image: int = 8, min_votes: int = 3
) -> Candidates:
  """Proposes the pairs worth registering.

  Args:
    keypoints: of N images.
    groups: [N] pairs within one group are not proposed; None proposes any.
    per_image: a pair is proposed that is among this many best of either image.
    min_votes: smallest number of keypoints that agree about position, angle and scale.

  Returns:
    The candidates.
  """
  image_of = keypoints.image_of()
  cells, codes = _quantise(keypoints.descriptors)
  found = [np.zeros((3, 0), np.int64)]
  for first, second in _by_block(_alike(cells, codes, image_of), image_of, len(keypoints)):
    found.append(_agreeing(keypoints, image_of, first, second, min_votes))
  one, other, votes = np.concatenate(found, axis=1)
  if groups is not None:
    apart = np.asarray(groups)[one] != np.asarray(groups)[other]
    one, other, votes = one[apart], other[apart], votes[apart]
  best = _among_best(one, other, votes, per_image)
  return Candidates(one[best], other[best], votes[best])


def _quantise(descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Cell (int32 [K]) and code (uint64 [K]) of every descriptor."""
  count = len(descriptors)
  rng = np.random.default_rng(0)
  sample = rng.choice(count, min(count, _SAMPLE), replace=False)
  if not count:
    return np.zeros(0, np.int32), np.zeros(0, np.uint64)
  fitted = descriptors[sample].astype(np.float32)
  mean = fitted.mean(axis=0)
  _, vectors = np.linalg.eigh((fitted - mean).T @ (fitted - mean))
  axes = vectors[:, ::-1][:, :_COMPONENTS].astype(np.float32)
  # A random rotation spreads the variance over the bits.
  rotation = np.linalg.qr(rng.normal(size=(_COMPONENTS, _COMPONENTS)))[0].astype(np.float32)
  projected = (fitted - mean) @ axes
  medians = np.median(projected @ rotation, axis=0)
  centres = min(_CENTRES, max(1, round((count / _KEYPOINTS_PER_CELL) ** 0.5)))
  quantisers = [_kmeans(projected[:, half:_COARSE:2], centres) for half in (0, 1)]

  cells = np.empty(count, np.int32)
  codes = np.empty(count, np.uint64)
  for start in range(0, count, _SAMPLE):
    part = slice(start, start + _SAMPLE)
    projected = (descriptors[part] - mean) @ axes
    one, other = (_nearest(projected[:, half:_COARSE:2], quantisers[half]) for half in (0, 1))
    cells[part] = one * centres + other
    bits = np.packbits(projected @ rotation > medians, axis=1)
    codes[part] = bits.view(np.uint64)[:, 0]
  return cells, codes


def _kmeans(points: np.ndarray, centres: int) -> np.ndarray:
  cv2.setRNGSeed(0)
  stop = (cv2.TERM_CRITERIA_MAX_ITER, 15, 0.0)
  points = np.ascontiguousarray(points)
  labels: np.ndarray = np.zeros((len(points), 1), np.int32)
  return cv2.kmeans(points, centres, labels, stop, 1, cv2.KMEANS_PP_CENTERS)[2]


def _nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
  return np.argmin((centres**2).sum(axis=1) - 2 * points @ centres.T, axis=1)


def _alike(
  cells: np.ndarray, codes: np.ndarray, image_of: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields alike keypoints of two images: the one of the earlier image, the one of the later.

  Keypoints lie sorted by cell, and each is compared with the next, the next but one, ... as long
  as that is in its cell, all keypoints at a time.
  """
  order = np.argsort(cells, kind='stable').astype(np.int32)
  cells, codes = cells[order], codes[order]
  _, starts, sizes = np.unique(cells, return_index=True, return_counts=True)
  end = np.repeat(starts + sizes, sizes)
  rest = np.flatnonzero(np.repeat(sizes, sizes) <= _MAX_CELL)
  step = 1
  while len(rest := rest[rest + step < end[rest]]):
    near = rest[np.bitwise_count(codes[rest] ^ codes[rest + step]) <= _MAX_BITS]
    first, second = order[near], order[near + step]
    # Keypoints are numbered image by image, and the sort was stable: the first is the earlier.
    apart = image_of[first] != image_of[second]
    yield first[apart], second[apart]
    step += 1


def _by_block(
  votes: Iterator[tuple[np.ndarray, np.ndarray]], image_of: np.ndarray, images: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Sorts votes by the block of the earlier image, so that all votes of a pair come together."""
  blocks: list[list[np.ndarray]] = [[] for _ in range(-(-images // _BLOCK))]
  for first, second in votes:
    block_of = image_of[first] // _BLOCK
    order = np.argsort(block_of, kind='stable')
    bounds = np.searchsorted(block_of[order], np.arange(len(blocks) + 1))
    both = np.stack([first[order], second[order]])
    for block, members in enumerate(blocks):
      if bounds[block] < bounds[block + 1]:
        members.append(both[:, bounds[block] : bounds[block + 1]].copy())
  while blocks:
    members = blocks.pop()  # frees each block once it is counted
    if members:
      first, second = np.concatenate(members, axis=1)
      yield first, second


def _agreeing(
  keypoints: Keypoints,
  image_of: np.ndarray,
  first: np.ndarray,
  second: np.ndarray,
  min_votes: int,
) -> np.ndarray:
  """Counts for each pair the votes that agree: int64 [3, pairs], the images and the votes."""
  images = len(keypoints)
  base = int(image_of[first].min()) if len(first) else 0
  pair = (image_of[first] - base).astype(np.int64) * images + image_of[second]
  enough = np.bincount(pair)[pair] > min_votes  # most pairs end here
  first, second, pair = first[enough], second[enough], pair[enough]
  if not len(pair):
    return np.zeros((3, 0), np.int64)
  names, pair = np.unique(pair, return_inverse=True)
  x_px, y_px, angle_deg, octaves = _centre(keypoints, image_of, first, second)
  best = np.zeros(len(names), np.int64)
  # Bins overlap by half, so that no cluster is cut in two on every grid.
  for shift_x in (0.0, 0.5):
    for shift_y in (0.0, 0.5):
      for shift in (0.0, 0.5):
        key = pair * 8 + np.int64(angle_deg / _BIN_DEG + shift) % 8
        key = key * 8 + np.clip(np.int64(np.floor(octaves / _BIN_OCTAVES + shift)) + 4, 0, 7)
        key = key * 64 + np.clip(np.int64(x_px / _BIN_PX + shift_x) + 32, 0, 63)
        key = np.sort(key * 64 + np.clip(np.int64(y_px / _BIN_PX + shift_y) + 32, 0, 63))
        starts = np.flatnonzero(np.diff(key, prepend=-1))
        votes = np.diff(starts, append=len(key))
        owner = key[starts] // (8 * 8 * 64 * 64)
        pair_starts = np.flatnonzero(np.diff(owner, prepend=-1))
        best = np.maximum(best, np.maximum.reduceat(votes, pair_starts))
  kept = best >= min_votes
  return np.stack([names[kept] // images + base, names[kept] % images, best[kept]])


def _centre(
  keypoints: Keypoints, image_of: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
  """What each vote says: where the first image's centre lies in the second, its turn and zoom."""
  x1, y1, size1, angle1 = keypoints.frames[first].T
  x2, y2, size2, angle2 = keypoints.frames[second].T
  height, width = keypoints.sizes[image_of[first]].T
  zoom, turn_deg = size2 / size1, (angle2 - angle1) % 360
  cos, sin = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
  dx, dy = width / 2 - x1, height / 2 - y1
  x_px = x2 + zoom * (cos * dx - sin * dy)
  y_px = y2 + zoom * (sin * dx + cos * dy)
  return x_px, y_px, turn_deg, np.log2(zoom)


def _among_best(
  one: np.ndarray, other: np.ndarray, votes: np.ndarray, per_image: int
) -> np.ndarray:
  """Marks the pairs that are among the best of either of their images: bool [P]."""
  ends, pairs = np.concatenate([one, other]), np.tile(np.arange(len(one)), 2)
  order = np.lexsort((pairs, -votes[pairs], ends))
  begin = np.searchsorted(ends[order], ends[order])
  rank = np.arange(len(order)) - begin
  kept = np.zeros(len(one), bool)
  kept[pairs[order[rank < per_image]]] = True
  return kept
