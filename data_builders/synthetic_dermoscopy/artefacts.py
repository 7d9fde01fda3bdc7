"""What lies between the skin and the picture: hairs, rulers, gel, frames, light."""

from __future__ import annotations

import cv2
import numpy as np

_SHIFT = 4


def draw_hairs(side_px: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
  """Draws the hairs of one photograph.

  Args:
    side_px: side of the image.
    rng: source of randomness; about a third of the images have no hair at all.

  Returns:
    alpha: float32 [S, S], how much of the skin each pixel's hairs hide, in [0, 1].
    rgb: float32 [3], their colour in sRGB.
  """
  board = np.zeros((side_px, side_px), np.uint8)
  kind = rng.choice(['none', 'few', 'many', 'stubble'], p=[0.35, 0.35, 0.2, 0.1])
  brown = np.array([0.16, 0.11, 0.08])
  rgb = brown * rng.uniform(0.5, 1.6) if rng.random() < 0.85 else np.array([0.62, 0.55, 0.45])
  if kind == 'none':
    return board.astype(np.float32), rgb.astype(np.float32)
  count = int({'few': rng.integers(2, 9), 'many': rng.integers(12, 34)}.get(kind, 0))
  count = count or int(rng.integers(25, 60))
  lengths = rng.uniform(0.35, 1.1, count) if kind != 'stubble' else rng.uniform(0.03, 0.07, count)
  flow = rng.uniform(0, 2 * np.pi)
  thickness = rng.uniform(0.003, 0.0065)
  t = np.linspace(0, 1, 14)[:, None]
  for length in lengths:
    angle = flow + rng.normal(0, 0.45)
    start = rng.uniform(-0.15, 1.15, 2)
    along = np.array([np.cos(angle), np.sin(angle)]) * length
    bend = np.array([-along[1], along[0]]) * rng.normal(0, 0.22)
    curl = np.array([-along[1], along[0]]) * rng.normal(0, 0.05)
    points = start + t * along + (t * (1 - t) * 4) * bend + np.sin(t * 9) * curl * 0.3
    fixed = np.round(points * side_px * 2**_SHIFT).astype(np.int32).reshape(-1, 1, 2)
    width = thickness * rng.uniform(0.6, 1.3) * side_px
    tone = round(255 * min(1.0, max(0.4, width)) * rng.uniform(0.75, 0.97))
    root = max(1, round(width))
    cv2.polylines(board, [fixed[:10]], False, tone, root, cv2.LINE_AA, _SHIFT)
    cv2.polylines(board, [fixed[9:]], False, tone, max(1, root - 1), cv2.LINE_AA, _SHIFT)
  return board.astype(np.float32) * np.float32(1 / 255), rgb.astype(np.float32)


def draw_ruler(image: np.ndarray, rng: np.random.Generator) -> None:
  """Prints a millimetre scale along one edge of a float image [S, S, 3], in place."""
  side = image.shape[0]
  board = np.zeros((side, side), np.uint8)
  pitch = rng.uniform(0.03, 0.05) * side
  edge = rng.uniform(0.0, 0.03) * side
  vertical = rng.random() < 0.5
  for tick in range(int(side / pitch) + 1):
    length = side * (0.055 if tick % 5 == 0 else 0.03)
    along, start, stop = tick * pitch, edge, edge + length
    ends = ((start, along), (stop, along)) if vertical else ((along, start), (along, stop))
    first, last = ((round(u * 16), round(v * 16)) for u, v in ends)
    cv2.line(board, first, last, 255, max(1, round(side / 200)), cv2.LINE_AA, _SHIFT)
    if tick % 5 == 0 and tick and side >= 128:
      u, v = ends[1]
      at = (round(u + 2), round(v + 3)) if vertical else (round(u - 3), round(v + 9))
      cv2.putText(board, str(tick // 5), at, cv2.FONT_HERSHEY_PLAIN, 0.6, 255, 1, cv2.LINE_AA)
  if rng.random() < 0.5:
    board = np.ascontiguousarray(board[::-1, ::-1])
  alpha = board.astype(np.float32)[..., None] * np.float32(rng.uniform(0.6, 0.9) / 255)
  image += alpha * (np.float32(0.08) - image)


def draw_gel(image: np.ndarray, rng: np.random.Generator) -> None:
  """Adds bubbles of immersion fluid to a float image [S, S, 3], in place."""
  side = image.shape[0]
  bright = np.zeros((side, side), np.uint8)
  dark = np.zeros((side, side), np.uint8)
  for _ in range(int(rng.integers(2, 9))):
    at = rng.uniform(0, side, 2)
    radius = side * rng.choice([0.008, 0.014, 0.03], p=[0.45, 0.4, 0.15]) * rng.uniform(0.7, 1.3)
    cx, cy = (round(v * 16) for v in at)
    line = max(1, round(side / 190))
    cv2.circle(dark, (cx, cy), round(radius * 16), 150, line, cv2.LINE_AA, _SHIFT)
    turn = rng.uniform(0, 360)
    axes = (round(radius * 12), round(radius * 12))
    cv2.ellipse(bright, (cx, cy), axes, turn, 0, 70, 230, line, cv2.LINE_AA, _SHIFT)
    cv2.ellipse(bright, (cx, cy), axes, turn + 180, 0, 30, 200, line, cv2.LINE_AA, _SHIFT)
  image *= 1 - dark.astype(np.float32)[..., None] * np.float32(0.5 / 255)
  image += bright.astype(np.float32)[..., None] * np.float32(0.8 / 255) * (1 - image)


def light_field(side_px: int, rng: np.random.Generator) -> np.ndarray:
  """Draws vignette and, in some images, the dark frame; a factor float32 [S, S] in [0, 1]."""
  line = (np.arange(side_px, dtype=np.float32) + 0.5) / side_px - 0.5
  shift = rng.normal(0, 0.02, 2).astype(np.float32)
  distance = np.sqrt((line[:, None] - shift[0]) ** 2 + (line[None, :] - shift[1]) ** 2)
  fall = rng.uniform(0.0, 0.5) * np.clip(distance - np.float32(0.4), 0, None) ** 2 * 4
  field = np.exp(-fall).astype(np.float32)
  if rng.random() < 0.14:
    radius, soft = rng.uniform(0.55, 0.68), rng.uniform(0.01, 0.08)
    field *= np.clip((radius - distance) / soft + 0.5, 0.03, 1).astype(np.float32)
  return field
