"""Random fields and seamless tiles that the drawing is woven from."""

from __future__ import annotations

import functools

import cv2
import numpy as np

TILE_PX = 256
TILE_CELLS = 16
"""A tile is TILE_PX wide and holds about TILE_CELLS cells (or wavelengths) a side."""

GRAIN_PX = 512
"""Side of the camera's grain, from which every photograph takes a window."""


def generator(*key: int) -> np.random.Generator:
  """Returns a random generator for a key of integers, the same on every machine and process."""
  return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def smooth_noise(
  rng: np.random.Generator,
  size_px: int,
  cells: float,
  octaves: int = 1,
) -> np.ndarray:
  """Draws value noise with mean about 0 and standard deviation about 1.

  Args:
    rng: source of randomness.
    size_px: side of the field.
    cells: number of bumps along a side, of the coarsest octave.
    octaves: each further octave has twice the frequency and half the amplitude.

  Returns:
    float32 [size_px, size_px].
  """
  field = None
  for octave in range(octaves):
    count = max(2, round(cells * 2**octave))
    grid: np.ndarray = rng.standard_normal((count + 3, count + 3), dtype=np.float32)
    margin = size_px / count
    full_px = (size_px + round(2 * margin),) * 2
    if margin >= 8:
      # Smooth to the eye, and several times cheaper than cubic interpolation all the way.
      grid = cv2.resize(grid, (4 * (count + 3),) * 2, interpolation=cv2.INTER_CUBIC)
    how = cv2.INTER_CUBIC if 3 <= margin < 8 else cv2.INTER_LINEAR
    full = cv2.resize(grid, full_px, interpolation=how)
    start = round(margin)
    part = full[start : start + size_px, start : start + size_px]
    field = part if field is None else field + part * np.float32(0.5**octave)
  assert field is not None
  return field * np.float32(1.45 / np.sqrt(sum(0.25**octave for octave in range(octaves))))


def smoothstep(low: float, high: float, values: np.ndarray) -> np.ndarray:
  """Rises smoothly from 0 at `low` to 1 at `high` (or falls, where high < low); float32."""
  t = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
  return t * t * (3 - 2 * t)


def sample_tile(
  tile: np.ndarray,
  x: np.ndarray,
  y: np.ndarray,
  cell: float,
  rng: np.random.Generator,
) -> np.ndarray:
  """Covers a canvas with a seamless tile, turned and shifted at random.

  Args:
    tile: float32 [TILE_PX, TILE_PX].
    x: float32 [H, W], horizontal position in image sides (may be warped).
    y: float32 [H, W], vertical position in image sides (may be warped).
    cell: width of one cell in image sides.
    rng: source of the turn and the shift.

  Returns:
    float32 [H, W].
  """
  scale = TILE_PX / TILE_CELLS / cell
  angle = rng.uniform(0, 2 * np.pi)
  cos, sin = np.float32(np.cos(angle) * scale), np.float32(np.sin(angle) * scale)
  shift = rng.uniform(0, TILE_PX, 2).astype(np.float32)
  return cv2.remap(
    tile,
    cos * x - sin * y + shift[0],
    sin * x + cos * y + shift[1],
    cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_WRAP,
  )


@functools.lru_cache(maxsize=8)
def honeycomb_tile(jitter: float) -> np.ndarray:
  """Returns the distance to the nearest cell border, in cell widths (0 border, ~.5 centre).

  Args:
    jitter: 0 is a regular honeycomb, .5 an irregular one.
  """
  rng = generator(11, round(jitter * 100))
  step, rows = TILE_PX / TILE_CELLS, 18
  points = []
  for row in range(rows):
    for column in range(TILE_CELLS):
      points.append(((column + 0.5 * (row % 2)) * step, row * TILE_PX / rows))
  seeds = (np.array(points) + rng.uniform(-1, 1, (len(points), 2)) * jitter * step) % TILE_PX
  zoom = 2
  side = TILE_PX * zoom
  board = np.full((side, side), 255, np.uint8)
  at = np.floor(seeds * zoom).astype(int) % side
  board[at[:, 1], at[:, 0]] = 0
  margin = side // 4
  board = cv2.copyMakeBorder(board, margin, margin, margin, margin, cv2.BORDER_WRAP)
  _, labels = cv2.distanceTransformWithLabels(
    board, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
  )
  # The labels number the seeds anew in every copy of the tile, which does no harm to borders.
  inside = np.full(labels.shape, 255, np.uint8)
  inside[:, 1:][labels[:, 1:] != labels[:, :-1]] = 0
  inside[1:][labels[1:] != labels[:-1]] = 0
  distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5)
  distance = np.float32(1 / (zoom * step)) * distance[margin:-margin, margin:-margin]
  return cv2.resize(distance, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)


@functools.lru_cache(maxsize=1)
def labyrinth_tile() -> np.ndarray:
  """Returns winding ridges between -1 and 1, one wavelength to a cell."""
  rng = generator(12)
  spectrum = np.fft.fft2(rng.standard_normal((TILE_PX, TILE_PX)))
  frequency = np.fft.fftfreq(TILE_PX) * TILE_PX
  radius = np.hypot(frequency[:, None], frequency[None, :])
  spectrum *= np.exp(-(((radius - TILE_CELLS) / (0.12 * TILE_CELLS)) ** 2))
  ridges = np.fft.ifft2(spectrum).real
  return np.tanh(1.5 * ridges / ridges.std()).astype(np.float32)


@functools.lru_cache(maxsize=1)
def grain_tile() -> np.ndarray:
  """Returns blurred noise of unit variance: the camera's grain, [GRAIN_PX, GRAIN_PX, 3]."""
  noise = generator(13).standard_normal((GRAIN_PX, GRAIN_PX, 3), dtype=np.float32)
  noise = cv2.GaussianBlur(noise, (0, 0), 0.6, borderType=cv2.BORDER_REFLECT)
  return noise / noise.std()
