"""Dermoscopic structures: networks, globules, vessels, cysts, streaks, scars, scales."""

from __future__ import annotations

import numpy as np

from data_builders.synthetic_dermoscopy import fields
from data_builders.synthetic_dermoscopy.canvas import Canvas, Outline


def network(canvas: Canvas, cell: float, irregularity: float, thickness: float) -> np.ndarray:
  """Draws the lines of a pigment network, 1 on the lines and 0 in the holes.

  Args:
    canvas: the board.
    cell: distance between holes in image sides.
    irregularity: 0 is a regular honeycomb, 1 an atypical network.
    thickness: width of the lines relative to a cell, about .1 to .3.

  Returns:
    float32 [H, W] in [0, 1].
  """
  distance = honeycomb(canvas, cell, irregularity)
  if irregularity > 0.5:
    widths = thickness * np.clip(1 + 0.6 * canvas.noise(0.09), 0.3, 2.2)
    return np.clip(1.5 - distance / widths, 0, 1)
  return np.clip(1.5 - distance * np.float32(1 / thickness), 0, 1)


def honeycomb(canvas: Canvas, cell: float, irregularity: float) -> np.ndarray:
  """Returns the distance to the nearest wall of a warped honeycomb, in cells; float32 [H, W]."""
  tile = fields.honeycomb_tile(round(0.08 + 0.34 * irregularity, 1))
  bend = cell * (0.12 + 0.4 * irregularity)
  x = canvas.x + np.float32(bend) * canvas.noise(4 * cell)
  y = canvas.y + np.float32(bend) * canvas.noise(4 * cell)
  return fields.sample_tile(tile, x, y, cell, canvas.rng)


def ridges(canvas: Canvas, wavelength: float) -> np.ndarray:
  """Draws winding ridges and furrows, between -1 and 1; float32 [H, W]."""
  tile = fields.labyrinth_tile()
  return fields.sample_tile(tile, canvas.x, canvas.y, wavelength, canvas.rng)


def scatter(
  canvas: Canvas,
  outline: Outline,
  count: int,
  reach: tuple[float, float] = (0.0, 0.85),
  gap: float = 0.0,
) -> np.ndarray:
  """Scatters points over a lesion.

  Args:
    canvas: the board.
    outline: the lesion.
    count: points to place; fewer come back where there is no room.
    reach: from and to which share of the way from the centre to the border.
    gap: smallest distance between two points in image sides.

  Returns:
    [N, 2] positions in image sides.
  """
  rng = canvas.rng
  points: list[tuple[float, float]] = []
  half, side = (canvas.size_px - 1) / 2, canvas.side_px
  tries = rng.uniform(-1.4, 1.4, (count * 12 + 24, 2)) * outline.radius
  for px, py in tries.tolist():
    if len(points) == count:
      break
    row, column = round(py * side + half), round(px * side + half)
    if not (0 <= row < canvas.size_px and 0 <= column < canvas.size_px):
      continue
    if not reach[0] <= 1 - outline.level[row, column] <= reach[1]:
      continue
    if gap and any((px - qx) ** 2 + (py - qy) ** 2 < gap * gap for qx, qy in points):
      continue
    points.append((px, py))
  return np.array(points, np.float64).reshape(-1, 2)


def arborising_vessels(canvas: Canvas, outline: Outline, trunks: int, width: float) -> np.ndarray:
  """Draws vessels that enter at the border, branch like trees and thin out; float32 [H, W]."""
  rng = canvas.rng
  lines: list[tuple[np.ndarray, float]] = []

  def grow(start: np.ndarray, heading: float, thickness: float, length: float, depth: int) -> None:
    """Adds a wavering branch to `lines`, and `depth` generations of thinner ones along it."""
    steps = 7
    turns = heading + np.cumsum(rng.normal(0, 0.3, steps))
    moves = np.stack([np.cos(turns), np.sin(turns)], axis=1) * (length / steps)
    points = np.concatenate([start[None], start + np.cumsum(moves, axis=0)])
    for part in range(3):
      piece = points[part * 2 : part * 2 + 4]
      lines.append((piece, thickness * (1 - 0.12 * part)))
    if depth == 0:
      return
    for node, side in ((3, rng.choice([-1, 1])), (5, rng.choice([-1, 1])), (7, 1), (7, -1)):
      if rng.random() < 0.82:
        turn = turns[node - 1] + side * rng.uniform(0.4, 1.0)
        grow(points[node], turn, thickness * 0.62, length * rng.uniform(0.5, 0.75), depth - 1)

  first = rng.uniform(0, 2 * np.pi)
  for trunk in range(trunks):
    angle = first + 2 * np.pi * trunk / trunks + rng.normal(0, 0.35)
    start = np.array([np.cos(angle), np.sin(angle)]) * outline.radius * rng.uniform(0.8, 1.05)
    heading = angle + np.pi + rng.normal(0, 0.3)
    grow(start, heading, width, outline.radius * rng.uniform(0.8, 1.1), 3)
  return canvas.curves(lines, blur=0.003)


def hairpin_vessels(
  canvas: Canvas, outline: Outline, count: int, size: float
) -> tuple[np.ndarray, np.ndarray]:
  """Draws looped vessels that point to the centre; returns loops and their halos, [H, W] each."""
  rng = canvas.rng
  at = scatter(canvas, outline, count, (0.6, 1.02), gap=size * 0.9)
  bend = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 7)
  arch = np.stack([np.cos(bend) * 0.35, np.sin(bend) * 0.28], axis=1)
  loop = np.concatenate([[[-0.8, -0.34], [-0.3, -0.3]], arch, [[-0.3, 0.3], [-0.8, 0.34]]])
  lines = []
  for point in at:
    angle = np.arctan2(point[1], point[0]) + rng.normal(0, 0.35)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    lines.append((point - loop @ turn * size * rng.uniform(0.6, 1.2), 0.0065))
  halos = canvas.discs(at, np.full(len(at), size * 0.85), blur=0.008)
  return canvas.curves(lines, blur=0.003), halos


def streaks(
  canvas: Canvas, outline: Outline, centre: float, spread: float, count: int
) -> np.ndarray:
  """Draws radial fingers that run over the border in one sector; float32 [H, W]."""
  rng = canvas.rng
  shapes = []
  for angle in centre + rng.uniform(-spread, spread, count):
    start, stop = outline.radius * 0.7, outline.radius * rng.uniform(1.0, 1.3)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    tip = along * stop + across * rng.normal(0, 0.02)
    root, knob = rng.uniform(0.009, 0.018), rng.uniform(0.003, 0.008)
    shapes.append(
      np.array(
        [along * start + across * root, tip + across * knob * 0.7, tip + along * knob,
         tip - across * knob * 0.7, along * start - across * root]
      )
    )  # fmt: skip
  return canvas.polygons(shapes, blur=0.005)


def blob(canvas: Canvas, centre: np.ndarray, radius: float, roughness: float) -> np.ndarray:
  """Draws one irregular soft patch; float32 [H, W] in [0, 1]."""
  dx, dy = canvas.x - np.float32(centre[0]), canvas.y - np.float32(centre[1])
  level = 1 - np.sqrt(dx * dx + dy * dy) * np.float32(1 / radius)
  level += np.float32(roughness) * canvas.noise(radius * 0.6, 2)
  return fields.smoothstep(-0.1, 0.45, level)


def polar(angle: float, distance: float) -> np.ndarray:
  """Returns the point [2] at an angle and a distance from the centre."""
  return np.array([np.cos(angle), np.sin(angle)]) * distance
