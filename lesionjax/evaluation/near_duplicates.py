"""Recompressed, resized, mirrored and turned copies of images, found in seconds.

Every image becomes a short vector: the low frequencies of the discrete cosine transform of a
32x32 grey version, without the mean, so that brightness and contrast drop out, whitened over the
collection, so that what all lesions share - a dark spot in the middle - counts for little. Copies
are pairs whose vectors point the same way. A mirrored image has the same transform with every
second sign changed and a turned one has it transposed, so that all eight orientations cost eight
matrix products and no second look at the pixels. Shifted, zoomed and cropped copies are not found
this way: see `registration`. Frames - a round field on black, a black bar, a coloured plaster -
fill the low frequencies too, so each pair is looked at again, at 64x64: copies share the fine
structure, frames do not.

Hashes of 64 bits, the usual way, flag thousands of pairs of different lesions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from data_builders.errors import UserError
from lesionjax.evaluation.image_files import ReadImage, read_squares

SIZE_PX = 32
THRESHOLD = 0.85
"""Smallest cosine of two signatures."""

MIN_FINE_NCC = 0.5
"""Smallest correlation of the fine structure of two copies."""

MAX_PAIRS = 1_000_000
"""More flagged pairs than this are no list of copies, but a collection of blank images."""

_BLOCK = 12  # frequencies kept in either direction: up to 6 cycles across the image
_FINE_PX = 64  # side at which flagged pairs are looked at again
_ROWS = 1024  # images compared with all others at a time
# A collection smaller than this leans on how the spectrum of photographs falls off.
_PRIOR_IMAGES = 200.0

ORIENTATIONS = (
  'same',
  'mirrored',
  'mirrored upside down',
  'rotated by 180 degrees',
  'transposed',
  'rotated by 90 degrees clockwise',
  'rotated by 90 degrees counter-clockwise',
  'transposed and rotated by 180 degrees',
)
"""How the first image must be turned to look like the second."""

MIRRORED = frozenset({0b001, 0b010, 0b100, 0b111})
"""The orientations, by position, that no turning alone brings about."""


@dataclasses.dataclass(frozen=True)
class Pairs:
  """Pairs of rows that look alike, the most alike first.

  Attributes:
    first: int64 [P] row of the one image.
    second: int64 [P] row of the other, first < second.
    similarity: float32 [P] cosine, above the threshold and up to 1.
    orientation: int64 [P] position in `ORIENTATIONS`.
  """

  first: np.ndarray
  second: np.ndarray
  similarity: np.ndarray
  orientation: np.ndarray

  def __len__(self) -> int:
    return len(self.first)


def search(image_ids: Sequence[str], read: ReadImage, threads: int | None = None) -> Pairs:
  """Finds copies among images: signatures first, then the fine structure of what they flag.

  Args:
    image_ids: [N] ids.
    read: gives the encoded image of an id.
    threads: decoding threads; None is one a core.

  Returns:
    The pairs, by row of `image_ids`.

  Raises:
    UserError: an image is damaged, or more than `MAX_PAIRS` pairs look alike.
  """
  pairs = find_copies(read_squares(image_ids, read, SIZE_PX, threads))
  rows: list[int] = np.unique([pairs.first, pairs.second]).tolist()
  detailed = read_squares([image_ids[row] for row in rows], read, _FINE_PX, threads)
  fine = {row: _fine(square) for row, square in zip(rows, detailed, strict=True)}
  kept = np.array(
    [
      _same_detail(fine[first], fine[second], orientation)
      for first, second, orientation in zip(
        pairs.first.tolist(), pairs.second.tolist(), pairs.orientation.tolist(), strict=True
      )
    ],
    bool,
  )
  return Pairs(*(column[kept] for column in dataclasses.astuple(pairs)))


def find_copies(squares: np.ndarray, threshold: float = THRESHOLD) -> Pairs:
  """Finds images that look alike from afar, in any orientation.

  Args:
    squares: uint8 [N, 32, 32], grey, as `image_files.read_squares` gives them. Images of one
      shade have no structure to compare and match nothing.
    threshold: smallest cosine of a pair. Copies through JPEG quality 60 at half size reach 0.97;
      of pairs of different lesions, one in a million reaches 0.85.

  Returns:
    The pairs.

  Raises:
    UserError: more than `MAX_PAIRS` pairs.
  """
  signatures = _whiten(_spectra(squares))
  turned = [_turn(signatures, orientation) for orientation in range(len(ORIENTATIONS))]
  found: list[tuple[np.ndarray, ...]] = []
  for start in range(0, len(signatures), _ROWS):
    stop = min(start + _ROWS, len(signatures))
    best = turned[0][start:stop] @ signatures[start:].T
    which = np.zeros(best.shape, np.int8)
    for orientation in range(1, len(ORIENTATIONS)):
      cosine = turned[orientation][start:stop] @ signatures[start:].T
      better = cosine > best
      which[better] = orientation
      np.maximum(best, cosine, out=best)
    first, second = np.nonzero(best >= threshold)
    first, second = first[second > first], second[second > first]
    found.append((first + start, second + start, best[first, second], which[first, second]))
    if sum(len(part[0]) for part in found) > MAX_PAIRS:
      raise UserError(
        f'More than {MAX_PAIRS} pairs of images look alike (similarity from {threshold} on):'
        ' remove blank and repeated images first.'
      )
  if not found:
    empty = np.zeros(0, np.int64)
    return Pairs(empty, empty, np.zeros(0, np.float32), empty)
  columns = [np.concatenate(column) for column in zip(*found, strict=True)]
  order = np.lexsort((columns[1], columns[0], -columns[2]))
  first, second, similarity, orientation = (column[order] for column in columns)
  return Pairs(first, second, np.minimum(similarity, 1.0), orientation.astype(np.int64))


def _fine(square: np.ndarray) -> np.ndarray:
  """What is finer than two pixels, with strong edges held down: float32, the square's shape."""
  image = square.astype(np.float32)
  detail = image - cv2.GaussianBlur(image, (0, 0), 1.0)
  return np.clip(detail / (detail.std() + 1e-6), -3, 3)


def _same_detail(one: np.ndarray, other: np.ndarray, orientation: int) -> bool:
  """Whether the fine structure agrees, up to a shift of four pixels."""
  if orientation & 0b100:
    one = one.T
  if orientation & 0b001:
    one = one[:, ::-1]
  if orientation & 0b010:
    one = one[::-1]
  inner = np.ascontiguousarray(one[4:-4, 4:-4])
  return float(cv2.matchTemplate(other, inner, cv2.TM_CCOEFF_NORMED).max()) >= MIN_FINE_NCC


def _spectra(squares: np.ndarray) -> np.ndarray:
  """Low frequencies of every image, without the mean, of length 1 (or 0): float32 [N, 143]."""
  spectra = np.empty((len(squares), _BLOCK, _BLOCK), np.float32)
  for row, square in enumerate(squares):
    spectra[row] = cv2.dct(square.astype(np.float32))[:_BLOCK, :_BLOCK]
  flat = spectra.reshape(len(squares), _BLOCK**2)[:, 1:]
  norms = np.linalg.norm(flat, axis=1, keepdims=True)
  # Rounding leaves something like 1e-4 of an image of one shade.
  return np.where(norms > 1.0, flat / np.maximum(norms, 1.0), 0.0)


def _whiten(spectra: np.ndarray) -> np.ndarray:
  """Decorrelates the frequencies over the collection; every result has length 1 (or 0).

  Nothing distinguishes left from right or up from across in dermoscopy, so the covariance is the
  mean over all eight orientations: the whitening then commutes with turning, and fewer images are
  enough to estimate it.
  """
  vertical, horizontal = _frequencies()
  covariance = spectra.T.astype(np.float64) @ spectra
  transposed = _transposition()
  covariance = (covariance + covariance[np.ix_(transposed, transposed)]) / 2
  # Mirroring changes the sign of products of an odd and an even frequency: their mean is 0.
  parity = vertical % 2 * 2 + horizontal % 2
  covariance *= parity[:, None] == parity[None, :]
  falling = 1.0 / (vertical**2 + horizontal**2) ** 2
  covariance += np.diag(falling / falling.sum() * _PRIOR_IMAGES)
  covariance /= np.trace(covariance)
  values, vectors = np.linalg.eigh(covariance)
  whitened = spectra @ (vectors / np.sqrt(values + 1e-5) @ vectors.T).astype(np.float32)
  norms = np.linalg.norm(whitened, axis=1, keepdims=True)
  return whitened / np.where(norms > 0, norms, 1.0)


def _turn(signatures: np.ndarray, orientation: int) -> np.ndarray:
  """Signatures of the turned images: bit 0 mirrors left-right, bit 1 up-down, bit 2 transposes.

  The transposition comes first.
  """
  vertical, horizontal = _frequencies()
  signs = np.ones(len(vertical), np.float32)
  if orientation & 0b001:
    signs *= 1 - 2 * (horizontal % 2)
  if orientation & 0b010:
    signs *= 1 - 2 * (vertical % 2)
  turned = signatures[:, _transposition()] if orientation & 0b100 else signatures
  return turned * signs


def _frequencies() -> tuple[np.ndarray, np.ndarray]:
  """Vertical and horizontal frequency of every column of the spectra: int64 [143] each."""
  vertical, horizontal = np.divmod(np.arange(_BLOCK**2), _BLOCK)
  return vertical[1:], horizontal[1:]


def _transposition() -> np.ndarray:
  """The column of the spectra that each column becomes when images are transposed."""
  vertical, horizontal = _frequencies()
  return horizontal * _BLOCK + vertical - 1
