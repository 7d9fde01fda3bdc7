"""Thin dark lines in a grey image, told from edges, spots and pigment network."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np

Rule = tuple[float, int]
"""(length_px, threshold): straight over that length, darker by more than so many grey levels."""


def find_lines(
  plane: np.ndarray, width_px: float, rules: Sequence[Rule], directions: int
) -> np.ndarray:
  """Finds lines that are darker than what lies on both of their sides.

  For every direction, a closing along a short segment across it bridges lines that are narrower
  than the segment; what it adds is the line's depth. Edges add nothing. Subtracted is what the
  closing along the direction adds, which is nothing on a line, but as much on a spot or a knot of
  pigment network. An opening along the direction then keeps what goes on straight: the meshes of a
  network are shorter than a hair's straight stretches. Crossings survive, since each line has its
  own direction.

  Args:
    plane: uint8 [H, W].
    width_px: lines up to about this width are found.
    rules: a pixel belongs to a line when any of these says so.
    directions: how many are tried, evenly over 180 degrees; even.

  Returns:
    uint8 [H, W]: 255 on a line, 0 elsewhere.

  Source: after Lee et al., DullRazor: a software approach to hair removal from images (1997),
  whose closings have three directions and whose length check follows them.
  """
  across = [
    cv2.subtract(cv2.morphologyEx(plane, cv2.MORPH_CLOSE, kernel), plane)
    for kernel in segments(_odd(width_px), directions)
  ]
  found = np.zeros_like(plane)
  depths = [
    cv2.subtract(across[(turn + directions // 2) % directions], across[turn])
    for turn in range(directions)
  ]
  for length_px, threshold in rules:
    deepest = np.zeros_like(plane)
    for depth, kernel in zip(depths, segments(_odd(length_px), directions), strict=True):
      np.maximum(deepest, cv2.morphologyEx(depth, cv2.MORPH_OPEN, kernel), out=deepest)
    found |= cv2.threshold(deepest, threshold, 255, cv2.THRESH_BINARY)[1]
  return found


@functools.cache
def segments(length_px: int, directions: int) -> tuple[np.ndarray, ...]:
  """Segments through the middle of a square, uint8 [length, length], one for each direction."""
  middle = length_px // 2
  kernels = []
  for turn in range(directions):
    angle = np.pi * turn / directions
    dx, dy = round(middle * np.cos(angle)), round(middle * np.sin(angle))
    kernel = np.zeros((length_px, length_px), np.uint8)
    cv2.line(kernel, (middle - dx, middle - dy), (middle + dx, middle + dy), 1)
    kernels.append(kernel)
  return tuple(kernels)


def _odd(px: float) -> int:
  """The odd number next to a length, 3 at least."""
  return 2 * max(1, round((px - 1) / 2)) + 1
