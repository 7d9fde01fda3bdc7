"""Relevance and outlines drawn on a photograph, and the key to their colours."""

from __future__ import annotations

import cv2
import numpy as np

from data_builders.errors import UserError

Colour = tuple[int, int, int]
LESION: Colour = (255, 255, 255)
_RIM: Colour = (31, 41, 51)  # beside the line: white alone is lost on gloss and on pale skin
# Viridis (Nunez, Anderton and Renslow, PLoS ONE 13, 2018): lightness grows evenly from 0 to 1, for
# colour-blind readers too, and its greens and blues are no colours of skin, so that none is hidden.
_COLOURS = cv2.COLORMAP_VIRIDIS


def colour(relevance: np.ndarray) -> np.ndarray:
  """Colours of relevances.

  Args:
    relevance: float [H, W]; what lies outside 0..1 takes the colour of the nearer end.

  Returns:
    uint8 [H, W, 3] RGB: dark violet at 0, green at .5, yellow at 1.

  Raises:
    UserError: a relevance is not finite.
  """
  if not np.isfinite(relevance).all():
    raise UserError('A map of relevance holds numbers that are not finite: they have no colour.')
  levels = np.rint(np.clip(relevance, 0, 1) * 255).astype(np.uint8)
  return cv2.applyColorMap(levels, _COLOURS)[..., ::-1].copy()


def overlay(image: np.ndarray, relevance: np.ndarray, opacity: float = 0.5) -> np.ndarray:
  """Lays the colours of a map of relevance over a photograph.

  The opacity is the same everywhere, so that a colour means the same wherever it lies.

  Args:
    image: uint8 [H, W, 3] RGB.
    relevance: float [h, w] in 0..1; stretched to the image where it is smaller or larger.
    opacity: share of the colours in the result, 0..1.

  Returns:
    uint8 [H, W, 3] RGB.
  """
  size = image.shape[1], image.shape[0]
  if relevance.shape != image.shape[:2]:
    relevance = cv2.resize(relevance.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
  return cv2.addWeighted(image, 1 - opacity, colour(relevance), opacity, 0)


def outline(
  image: np.ndarray, mask: np.ndarray, colour: Colour = LESION, width_px: int = 2
) -> np.ndarray:
  """Draws the border of a mask, with a dark rim that keeps it visible on any ground.

  Args:
    image: uint8 [H, W, 3] RGB.
    mask: bool [h, w]; stretched to the image where it is smaller or larger. Its border is drawn
      where the mask ends, not where the image does.
    colour: RGB of the line.
    width_px: of the line, without its rim.

  Returns:
    uint8 [H, W, 3] RGB, a copy.
  """
  size = image.shape[1], image.shape[0]
  plane = np.ascontiguousarray(mask).astype(np.uint8)
  if mask.shape != image.shape[:2]:
    # Through shades of grey: a border of coarse pixels would be drawn as stairs.
    plane = cv2.resize(plane * 255, size, interpolation=cv2.INTER_CUBIC) // 128
  contours, _ = cv2.findContours(plane, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
  drawn = np.ascontiguousarray(image).copy()
  for tint, width in ((_RIM, width_px + 2), (colour, width_px)):
    cv2.drawContours(drawn, contours, -1, tint, width, cv2.LINE_AA)
  return drawn


def legend(width_px: int = 240, height_px: int = 12) -> np.ndarray:
  """The colours from 0 (left) to 1 (right), uint8 [height_px, width_px, 3] RGB."""
  ramp = np.linspace(0, 1, width_px, dtype=np.float32)
  return colour(np.broadcast_to(ramp, (height_px, width_px)))
