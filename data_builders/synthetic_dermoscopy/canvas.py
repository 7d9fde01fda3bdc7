"""The drawing board of one lesion: coordinates, layers of pigment, and the lesion's outline."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np

from data_builders.synthetic_dermoscopy import colour, fields

MARGIN = 1.25
"""The board is this many image sides wide, so that a photograph may shift and turn on it."""

_SHIFT = 4  # Fixed-point bits of OpenCV's drawing functions: 1/16 pixel.


class Canvas:
  """Layers of a lesion on its skin, in lesion coordinates.

  Attributes:
    side_px: side of the photographs, in pixels; the unit of length of everything drawn.
    size_px: side of the board, `MARGIN` times as large.
    x: float32 [size_px, size_px], horizontal distance from the lesion's centre in image sides.
    y: the same, vertical.
    melanin: float32 [size_px, size_px], pigment added to the skin.
    blood: float32 [size_px, size_px], blood added to the skin.
  """

  def __init__(self, side_px: int, rng: np.random.Generator):
    self.side_px = side_px
    self.x, self.y = _grid(side_px)
    self.size_px = self.x.shape[0]
    self.rng = rng
    self.melanin: np.ndarray = np.zeros(self.x.shape, np.float32)
    self.blood: np.ndarray = np.zeros(self.x.shape, np.float32)
    self._overlays: list[tuple[np.ndarray, tuple[float, float, float]]] = []

  def noise(self, scale: float, octaves: int = 1) -> np.ndarray:
    """Draws smooth noise of unit variance whose bumps are about `scale` image sides wide."""
    return fields.smooth_noise(self.rng, self.size_px, MARGIN / scale, octaves)

  def stain(self, amount: np.ndarray, ink: tuple[float, float]) -> None:
    """Adds `amount` [H, W] of an ink, a pair (melanin, blood)."""
    if ink[0]:
      self.melanin += np.float32(ink[0]) * amount
    if ink[1]:
      self.blood += np.float32(ink[1]) * amount

  def cover(self, alpha: np.ndarray, rgb: tuple[float, float, float]) -> None:
    """Lays an opaque colour (sRGB, [0, 1]) over everything below, `alpha` [H, W] in [0, 1]."""
    self._overlays.append((np.minimum(alpha, 1), rgb))

  def density(self, skin_rgb: np.ndarray) -> np.ndarray:
    """Returns the optical density relative to the skin, float32 [H, W, 3]."""
    planes = []
    for channel in range(3):
      plane = self.melanin * colour.MELANIN[channel] + self.blood * colour.BLOOD[channel]
      for alpha, rgb in self._overlays:
        # A white scar on dark skin is less white than one on light skin.
        target = np.float32(-np.log(0.7 * rgb[channel] / skin_rgb[channel] + 0.3))
        plane += alpha * (target - plane)
      planes.append(plane)
    return cv2.merge(planes)

  def discs(
    self,
    centres: np.ndarray,
    radii: np.ndarray,
    thickness: float = 0.0,
    stretch: float = 1.0,
    blur: float = 0.0,
  ) -> np.ndarray:
    """Draws discs, ellipses or rings.

    Args:
      centres: [N, 2] in image sides from the centre.
      radii: [N] in image sides.
      thickness: of a ring, in image sides; 0 fills the disc.
      stretch: long axis over short axis, turned at random.
      blur: standard deviation of a blur, in image sides.

    Returns:
      float32 [H, W] in [0, 1].
    """
    board = np.zeros(self.x.shape, np.uint8)
    line = -1 if thickness <= 0 else max(1, round(thickness * self.side_px))
    at = self._fixed(centres)
    size = np.maximum(1, np.asarray(radii) * self.side_px * 2**_SHIFT).astype(int).tolist()
    angles = self.rng.uniform(0, 180, len(size)).tolist()
    for (cx, cy), radius, angle in zip(at.tolist(), size, angles, strict=True):
      if stretch == 1.0:
        cv2.circle(board, (cx, cy), radius, 255, line, cv2.LINE_AA, _SHIFT)
      else:
        axes = (int(radius * stretch), radius)
        cv2.ellipse(board, (cx, cy), axes, angle, 0, 360, 255, line, cv2.LINE_AA, _SHIFT)
    return self._finish(board, blur)

  def curves(self, lines: list[tuple[np.ndarray, float]], blur: float = 0.0) -> np.ndarray:
    """Draws curves.

    Args:
      lines: pairs of points [N, 2] and width, both in image sides.
      blur: standard deviation of a blur, in image sides.

    Returns:
      float32 [H, W] in [0, 1]; curves thinner than a pixel are fainter instead.
    """
    board = np.zeros(self.x.shape, np.uint8)
    for points, width in lines:
      width_px = width * self.side_px
      tone = round(255 * min(1.0, max(0.35, width_px)))
      at = self._fixed(points).reshape(-1, 1, 2)
      cv2.polylines(board, [at], False, tone, max(1, round(width_px)), cv2.LINE_AA, _SHIFT)
    return self._finish(board, blur)

  def polygons(self, shapes: list[np.ndarray], blur: float = 0.0) -> np.ndarray:
    """Fills polygons, each [N, 2] in image sides; float32 [H, W] in [0, 1]."""
    board = np.zeros(self.x.shape, np.uint8)
    for points in shapes:
      cv2.fillPoly(board, [self._fixed(points).reshape(-1, 1, 2)], 255, cv2.LINE_AA, _SHIFT)
    return self._finish(board, blur)

  def _fixed(self, points: np.ndarray) -> np.ndarray:
    """Turns image sides from the centre into OpenCV's fixed-point pixels."""
    pixels = np.asarray(points, np.float64) * self.side_px + (self.size_px - 1) / 2
    return np.round(pixels * 2**_SHIFT).astype(np.int32)

  def _finish(self, board: np.ndarray, blur: float) -> np.ndarray:
    sigma = blur * self.side_px
    if sigma > 0.3:
      board = cv2.GaussianBlur(board, (0, 0), sigma)
    return board.astype(np.float32) * np.float32(1 / 255)


@dataclasses.dataclass(frozen=True)
class Outline:
  """Where the lesion is.

  Attributes:
    level: float32 [H, W], 1 in the centre, 0 on the border, negative outside.
    inside: float32 [H, W], the soft membership in [0, 1]; .5 on the border.
    angle: float32 [H, W], direction from the centre in radians.
    radius: mean radius in image sides.
  """

  level: np.ndarray
  inside: np.ndarray
  angle: np.ndarray
  radius: float


def draw_outline(
  canvas: Canvas,
  radius: float,
  stretch: float = 1.15,
  lobes: tuple[float, ...] = (0.0, 0.02, 0.02),
  roughness: float = 0.03,
  roughness_scale: float = 0.05,
  softness: float = 0.1,
) -> Outline:
  """Draws a star-shaped outline.

  Args:
    canvas: the board.
    radius: mean radius in image sides.
    stretch: length over width of the ellipse underneath.
    lobes: amplitude of the outline's Fourier terms 1, 2, 3, ... relative to the radius.
    roughness: standard deviation of the border's small-scale noise, relative to the radius.
    roughness_scale: width of that noise's bumps in image sides.
    softness: width of the fading border, relative to the radius.

  Returns:
    The outline.
  """
  rng = canvas.rng
  turn = rng.uniform(0, 2 * np.pi)
  cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
  along = (cos * canvas.x + sin * canvas.y) * np.float32(stretch**-0.5)
  across = (cos * canvas.y - sin * canvas.x) * np.float32(stretch**0.5)
  distance, angle = cv2.cartToPolar(along, across)
  if any(lobes):
    steps = np.arange(512) * (2 * np.pi / 512)
    reach = np.ones(512)
    for order, amplitude in enumerate(lobes, start=1):
      reach += amplitude * rng.uniform(0.7, 1.3) * np.cos(order * steps + rng.uniform(0, 6.3))
    reach = np.maximum(reach, 0.45).astype(np.float32) * np.float32(radius)
    relative = distance / reach[(angle * np.float32(512 / (2 * np.pi))).astype(np.int32) % 512]
  else:
    relative = distance * np.float32(1 / radius)
  level = 1 - relative
  if roughness:
    level += np.float32(roughness) * canvas.noise(roughness_scale, 2)
  inside = fields.smoothstep(-softness / 2, softness / 2, level)
  return Outline(level, inside, angle, radius)


@functools.lru_cache(maxsize=4)
def _grid(side_px: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns read-only x and y of a board, in image sides from its centre."""
  size = round(side_px * MARGIN)
  line = ((np.arange(size) - (size - 1) / 2) / side_px).astype(np.float32)
  x, y = np.meshgrid(line, line)
  x.flags.writeable = y.flags.writeable = False
  return x, y
