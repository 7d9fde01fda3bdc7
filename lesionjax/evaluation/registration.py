"""Shifted, zoomed, turned and recoloured copies: pairs of images that register on each other.

The slow second stage beside `near_duplicates`. Alike SIFT keypoints propose pairs (`candidates`);
each is matched in full, a similarity transform is fitted robustly, and the pair counts when enough
keypoints agree with it and the one image, brought onto the other, looks like it. Mirrored copies
are the first stage's business: a mirror changes every keypoint.
"""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from lesionjax.evaluation.candidates import propose
from lesionjax.evaluation.image_files import ReadImage, read_grey
from lesionjax.evaluation.keypoints import SHORTER_PX, Keypoints, detect

MIN_INLIERS = 10
"""Keypoints that must agree with one transform."""

SURE_INLIERS = 16
"""From here on two images may differ in all else; a printed ruler in both gives up to 14."""

MIN_NCC = (0.9, 0.3)
"""Smallest correlation of the grey values where the images overlap: few inliers, many inliers."""

_RATIO = 0.95  # of the distances to the nearest and the second nearest descriptor
_TOLERANCE_PX = 4.0
_COMPARED_PX = 64  # shorter side at which grey values are compared: alignment is a pixel or two off
_MIN_OVERLAP_PX = 100  # pixels of that
_ZOOM = (1 / 4, 4.0)


@dataclasses.dataclass(frozen=True)
class Registration:
  """Two images of one lesion, by the evidence of registration.

  Attributes:
    first: row of the one image.
    second: row of the other, first < second.
    inliers: keypoints of the first image that land within 4 px of their partner.
    ncc: normalised cross-correlation of grey values over the overlap, -1..1.
    zoom: size of the lesion in the second image over that in the first.
    turn_deg: rotation from the first image to the second, clockwise, -180..180.
  """

  first: int
  second: int
  inliers: int
  ncc: float
  zoom: float
  turn_deg: float


def find_registered(
  image_ids: Sequence[str],
  read: ReadImage,
  groups: Sequence[str] | np.ndarray | None = None,
  threads: int | None = None,
) -> list[Registration]:
  """Finds pairs of images that show the same lesion in another frame.

  Args:
    image_ids: [N] ids.
    read: gives the encoded image of an id.
    groups: [N] pairs within one group are known and not looked for; None looks for any.
    threads: working threads; None is one a core.

  Returns:
    The pairs, the most inliers first.

  Raises:
    UserError: an image is damaged; names it.
  """
  keypoints = detect(image_ids, read, threads)
  known = None if groups is None else np.asarray(groups, np.str_)
  proposed = propose(keypoints, known)
  register = _Register(image_ids, read, keypoints)
  pairs = set(zip(proposed.first.tolist(), proposed.second.tolist(), strict=True))
  found: list[Registration] = []
  tried: set[tuple[int, int]] = set()
  with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
    while pairs:
      ordered = sorted(pairs)
      tried |= pairs
      found += [result for result in pool.map(register, ordered) if result]
      pairs = _siblings(found, known) - tried
  return sorted(found, key=lambda pair: (-pair.inliers, pair.first, pair.second))


def _siblings(found: list[Registration], groups: np.ndarray | None) -> set[tuple[int, int]]:
  """Pairs next to found ones: what looks like an image may look like its group, too."""
  members: dict[str, list[int]] = defaultdict(list)
  if groups is not None:
    for row, group in enumerate(groups):
      members[str(group)].append(row)

  def group_of(row: int) -> list[int]:
    return members[str(groups[row])] if groups is not None else [row]

  partners: dict[int, set[int]] = defaultdict(set)
  for pair in found:
    partners[pair.first].add(pair.second)
    partners[pair.second].add(pair.first)
  near = set()
  for pair in found:
    left = {*group_of(pair.first), *partners[pair.second]}
    right = {*group_of(pair.second), *partners[pair.first]}
    near |= {(min(a, b), max(a, b)) for a in left for b in right if a != b}
  if groups is not None:
    near = {(a, b) for a, b in near if groups[a] != groups[b]}
  return near


class _Register:
  """Registers two images; holds the collection."""

  def __init__(self, image_ids: Sequence[str], read: ReadImage, keypoints: Keypoints):
    self._image_ids, self._read, self._keypoints = image_ids, read, keypoints

  def __call__(self, pair: tuple[int, int]) -> Registration | None:
    frames, descriptors = zip(*(self._keypoints.of(row) for row in pair), strict=True)
    one, other = _matches(*descriptors)
    if len(one) < MIN_INLIERS:
      return None
    source, target = frames[0][one, :2], frames[1][other, :2]
    transform, _ = cv2.estimateAffinePartial2D(
      source, target, method=cv2.RANSAC, ransacReprojThreshold=_TOLERANCE_PX, maxIters=1000
    )
    if transform is None:
      return None
    zoom = float(np.hypot(transform[0, 0], transform[1, 0]))
    missed = np.linalg.norm(source @ transform[:, :2].T + transform[:, 2] - target, axis=1)
    # SIFT gives a point with two orientations twice.
    inliers = len(np.unique(np.round(target[missed < _TOLERANCE_PX]), axis=0))
    if inliers < MIN_INLIERS or not _ZOOM[0] < zoom < _ZOOM[1]:
      return None
    ncc = self._correlation(pair, transform)
    if ncc < MIN_NCC[inliers >= SURE_INLIERS]:
      return None
    turn_deg = float(np.rad2deg(np.arctan2(transform[1, 0], transform[0, 0])))
    return Registration(*pair, inliers, ncc, zoom, turn_deg)

  def _correlation(self, pair: tuple[int, int], transform: np.ndarray) -> float:
    """Correlation of the second image with the first one brought onto it; -1 without overlap."""
    one, other = (
      cv2.GaussianBlur(read_grey(self._image_ids[row], self._read, _COMPARED_PX), (0, 0), 1.0)
      for row in pair
    )
    scaled = transform.copy()
    scaled[:, 2] *= _COMPARED_PX / SHORTER_PX
    size = (other.shape[1], other.shape[0])
    covered = cv2.warpAffine(np.full_like(one, 255), scaled, size) == 255
    if covered.sum() < _MIN_OVERLAP_PX:
      return -1.0
    values = cv2.warpAffine(one, scaled, size)[covered].astype(np.float64)
    partners = other[covered].astype(np.float64)
    values -= values.mean()
    partners -= partners.mean()
    norm = float(np.sqrt((values**2).sum() * (partners**2).sum()))
    return float((values * partners).sum() / norm) if norm > 0 else -1.0


def _matches(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Rows of descriptors that are each other's nearest, clearly nearer than the second nearest."""
  if len(one) < 2 or len(other) < 2:
    return np.zeros(0, np.int64), np.zeros(0, np.int64)
  squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
  nearest = np.argmin(squares, axis=1)
  mutual = np.flatnonzero(np.argmin(squares, axis=0)[nearest] == np.arange(len(one)))
  two = np.partition(squares[mutual], 1, axis=1)[:, :2]
  rows = mutual[two[:, 0] < _RATIO**2 * two[:, 1]]
  return rows, nearest[rows]
