"""SIFT keypoints of a collection: what the search for shifted and zoomed copies works on."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from lesionjax.evaluation.image_files import ReadImage, read_grey

SHORTER_PX = 256
"""Images are brought to this shorter side: finer structure is hair and skin, not lesion."""

_PER_IMAGE = 200
# Half of OpenCV's contrast: lesions are soft.
_OPTIONS = {'nfeatures': _PER_IMAGE, 'contrastThreshold': 0.01, 'edgeThreshold': 15}
_SCALE = 512  # of the stored square roots, which rarely exceed one half


@dataclasses.dataclass(frozen=True)
class Keypoints:
  """The keypoints of N images, one image after the other.

  Attributes:
    starts: int64 [N + 1], the keypoints of image i are starts[i]:starts[i + 1].
    frames: float32 [K, 4], x and y in px at a shorter side of `SHORTER_PX`, diameter in px, angle
      in degrees.
    descriptors: uint8 [K, 128], square roots of SIFT's histograms, whose Euclidean distance is
      the better one for histograms (Arandjelovic and Zisserman, Three things everyone should know
      to improve object retrieval, CVPR 2012).
    sizes: int64 [N, 2], height and width of the images in px.
  """

  starts: np.ndarray
  frames: np.ndarray
  descriptors: np.ndarray
  sizes: np.ndarray

  def __len__(self) -> int:
    return len(self.starts) - 1

  def image_of(self) -> np.ndarray:
    """Returns the image of every keypoint, int32 [K]."""
    return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.starts))

  def of(self, image: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns one image's frames and its descriptors as float32 of length about 1."""
    part = slice(self.starts[image], self.starts[image + 1])
    return self.frames[part], self.descriptors[part].astype(np.float32) / _SCALE


def detect(image_ids: Sequence[str], read: ReadImage, threads: int | None = None) -> Keypoints:
  """Finds the strongest keypoints of every image.

  Args:
    image_ids: [N] ids.
    read: gives the encoded image of an id.
    threads: working threads; None is one a core.

  Returns:
    At most 200 keypoints an image; none where an image has no structure.

  Raises:
    UserError: an image is damaged; names it.
  """
  local = threading.local()  # a detector holds buffers, threads must not share it

  def detect(image_id: str) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Frames [K, 4] (x, y, size, angle), descriptors [K, 128] and (height, width) of one image."""
    if not hasattr(local, 'sift'):
      local.sift = cv2.SIFT.create(**_OPTIONS)
    grey = read_grey(image_id, read, SHORTER_PX)
    points, histograms = local.sift.detectAndCompute(grey, None)
    if not points:
      return np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8), grey.shape
    frames = np.array([(*point.pt, point.size, point.angle) for point in points], np.float32)
    sums = np.maximum(histograms.sum(axis=1, keepdims=True), 1e-9)
    roots = np.sqrt(histograms / sums) * _SCALE
    descriptors = np.minimum(np.round(roots), 255).astype(np.uint8)
    # Ties at the weakest response may add some.
    return frames[:_PER_IMAGE], descriptors[:_PER_IMAGE], grey.shape

  with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
    found = list(pool.map(detect, image_ids))
  counts = [len(frames) for frames, _, _ in found]
  return Keypoints(
    starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    frames=np.concatenate([np.zeros((0, 4), np.float32), *(frames for frames, _, _ in found)]),
    descriptors=np.concatenate([np.zeros((0, 128), np.uint8), *(d for _, d, _ in found)]),
    sizes=np.array([size for _, _, size in found], np.int64).reshape(-1, 2),
  )
