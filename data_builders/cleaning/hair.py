"""Hair removal: dark (and light) thin lines are found and painted over from their surroundings."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class HairOptions:
  """How hairs are found and filled.

  Lengths are in pixels of an image whose short side has `reference_px` pixels and grow with the
  image; with `reference_px` 0 they are pixels of any image.

  Attributes:
    reference_px: short side for which the lengths hold; 0: they do not scale.
    kernel_px: side of the square whose closing bridges a hair; wider structures stay.
    threshold: grey levels by which a hair differs from what lies around it.
    low_threshold: the same for pixels connected to one above `threshold`; 0: no second threshold.
    line_px: a hair is straight over this length, in one of `directions`; 0: any shape is hair.
    directions: orientations that are tried, evenly over 180 degrees.
    min_length_px: regions with a shorter long side are no hair; 0: all are.
    light_threshold: as `threshold` for hairs lighter than the skin; 0: light ones stay.
    red: look at the red channel, in which pigment and vessels are pale, not at grey.
    grow_px: widens what was found, since a hair's rim is half skin.
    radius_px: neighbourhood from which Telea's inpainting fills; not scaled.
  """

  reference_px: int = 0
  kernel_px: int = 17
  threshold: int = 10
  low_threshold: int = 0
  line_px: int = 0
  directions: int = 12
  min_length_px: int = 0
  light_threshold: int = 0
  red: bool = False
  grow_px: int = 0
  radius_px: int = 1


PUBLISHED = HairOptions()
"""Blackhat with MORPH_RECT 17x17, threshold 10, Telea with radius 1: made for 256 px."""

DEFAULT = HairOptions(
  reference_px=256,
  kernel_px=9,
  threshold=16,
  low_threshold=8,
  line_px=11,
  min_length_px=16,
  light_threshold=24,
  red=True,
  grow_px=1,
  radius_px=3,
)


def remove_hair(image: np.ndarray, options: HairOptions = DEFAULT) -> np.ndarray:
  """Paints hairs over from what lies around them.

  Args:
    image: uint8 [H, W, 3] RGB.
    options: how.

  Returns:
    uint8 [H, W, 3] RGB; equal to `image` where `hair_mask` is 0.

  Source: the published pipeline for `PUBLISHED`; inpainting: Telea, An image inpainting technique
  based on the fast marching method (2004).
  """
  mask = hair_mask(image, options)
  if not mask.any():
    return image.copy()
  return cv2.inpaint(image, mask, options.radius_px, cv2.INPAINT_TELEA)


def hair_mask(image: np.ndarray, options: HairOptions = DEFAULT) -> np.ndarray:
  """Finds hairs.

  Args:
    image: uint8 [H, W, 3] RGB.
    options: how.

  Returns:
    uint8 [H, W]: 255 on a hair, 0 elsewhere.

  Source: blackhat and threshold as published; lines by openings along them, as in Lee et al.,
  DullRazor: a software approach to hair removal from images (1997).
  """
  plane = image[..., 0] if options.red else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
  plane = np.ascontiguousarray(plane)
  scale = min(plane.shape) / options.reference_px if options.reference_px else 1.0
  side = _odd(options.kernel_px * scale)
  kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
  mask = _lines(
    cv2.morphologyEx(plane, cv2.MORPH_BLACKHAT, kernel),
    options.threshold, options.low_threshold, options, scale,
  )  # fmt: skip
  if options.light_threshold:
    bright = cv2.morphologyEx(plane, cv2.MORPH_TOPHAT, kernel)
    low = options.light_threshold * options.low_threshold // options.threshold
    mask |= _lines(bright, options.light_threshold, low, options, scale)
  if options.grow_px:
    grown = 2 * max(1, round(options.grow_px * scale)) + 1
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grown, grown)))
  return mask


def _lines(
  response: np.ndarray, threshold: int, low_threshold: int, options: HairOptions, scale: float
) -> np.ndarray:
  """Thresholds a response uint8 [H, W] and keeps what looks like a line, as 0 and 255."""
  if options.line_px:
    opened = np.zeros_like(response)
    for kernel in _line_kernels(_odd(options.line_px * scale), options.directions):
      np.maximum(opened, cv2.morphologyEx(response, cv2.MORPH_OPEN, kernel), out=opened)
    response = opened
  low = low_threshold or threshold
  mask = cv2.threshold(response, low, 255, cv2.THRESH_BINARY)[1]
  if not options.min_length_px and low == threshold:
    return mask
  _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
  sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
  keep = np.hypot(sides[:, 0], sides[:, 1]) >= options.min_length_px * scale
  strong = np.zeros(len(stats), bool)
  strong[labels[response > threshold]] = True
  keep &= strong
  keep[0] = False
  return (keep[labels] * 255).astype(np.uint8)


@functools.cache
def _line_kernels(length_px: int, directions: int) -> list[np.ndarray]:
  """One-pixel lines through the middle of a square, uint8 [length, length]."""
  middle = length_px // 2
  kernels = []
  for turn in range(directions):
    angle = np.pi * turn / directions
    dx, dy = round(middle * np.cos(angle)), round(middle * np.sin(angle))
    kernel = np.zeros((length_px, length_px), np.uint8)
    cv2.line(kernel, (middle - dx, middle - dy), (middle + dx, middle + dy), 1)
    kernels.append(kernel)
  return kernels


def _odd(px: float) -> int:
  return 2 * max(1, round((px - 1) / 2)) + 1
