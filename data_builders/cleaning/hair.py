"""Hair removal: dark and light thin lines are found and painted over from their surroundings."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from data_builders.cleaning import geometry, lines


@dataclasses.dataclass(frozen=True)
class HairOptions:
  """How hairs are found and filled.

  Attributes:
    kernel_px: dark structures narrower than this are candidates.
    threshold: grey levels by which they differ from what lies around; only without `dark_rules`.
    dark_rules: (length_px, threshold): hairs are straight over that length and that much darker;
      several rules add up. None: any shape is hair.
    light_rules: the same for hairs lighter than what lies around; none: light hairs stay.
    directions: orientations of lines that are tried.
    red: look at the red channel, in which pigment and vessels are pale, not at grey.
    reference_px: short side of the image for which all lengths hold; they grow with the image. 0:
      they are pixels of any image.
    work_px: larger images are searched at this short side; 0: always at full size.
    grow_px: widens what was found, since a hair's rim is half skin.
    close_px: then closes gaps of up to twice this width, where hairs meet at a sharp angle.
    radius_px: neighbourhood from which Telea's inpainting fills; not scaled.
  """

  kernel_px: int = 17
  threshold: int = 10
  dark_rules: tuple[lines.Rule, ...] = ()
  light_rules: tuple[lines.Rule, ...] = ()
  directions: int = 12
  red: bool = False
  reference_px: int = 0
  work_px: int = 0
  grow_px: int = 0
  close_px: int = 0
  radius_px: int = 1


PUBLISHED = HairOptions()
"""Blackhat with MORPH_RECT 17x17, threshold 10, Telea with radius 1: made for 256 px."""

DEFAULT = HairOptions(
  kernel_px=7,
  dark_rules=((7, 32), (9, 20), (15, 10)),
  light_rules=((9, 20), (15, 10)),
  red=True,
  reference_px=256,
  work_px=512,
  grow_px=1,
  close_px=1,
  radius_px=2,
)
"""Chosen on the validation split of `synthetic_dermoscopy` and by eye on real photographs."""


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
  """
  plane = image[..., 0].copy() if options.red else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
  height, width = plane.shape
  shrink = min(1.0, options.work_px / min(height, width)) if options.work_px else 1.0
  plane = geometry.resize(plane, round(width * shrink), round(height * shrink))
  scale = min(plane.shape) / options.reference_px if options.reference_px else 1.0
  if options.dark_rules:
    mask = _dark_and_light(plane, scale, options)
  else:
    side = max(3, round(options.kernel_px * scale))
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    depth = cv2.morphologyEx(plane, cv2.MORPH_BLACKHAT, kernel)
    mask = cv2.threshold(depth, options.threshold, 255, cv2.THRESH_BINARY)[1]
  if options.grow_px:
    mask = cv2.dilate(mask, _disk(options.grow_px * scale))
  if options.close_px:
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _disk(options.close_px * scale))
  return geometry.resize_mask(mask, width, height)


def _dark_and_light(plane: np.ndarray, scale: float, options: HairOptions) -> np.ndarray:
  width_px = options.kernel_px * scale

  def search(plane: np.ndarray, rules: tuple[lines.Rule, ...]) -> np.ndarray:
    scaled = [(length_px * scale, threshold) for length_px, threshold in rules]
    return lines.find_lines(plane, width_px, scaled, options.directions)

  dark = search(plane, options.dark_rules)
  if not options.light_rules:
    return dark
  # Skin between two dark hairs is a light line: fill those hairs in before looking for light ones.
  hidden = cv2.dilate(dark, _disk(scale)) > 0
  bridged = cv2.morphologyEx(plane, cv2.MORPH_CLOSE, _disk(width_px / 2))
  filled = np.where(hidden, bridged, plane)
  return dark | search(255 - filled, options.light_rules)


def _disk(radius_px: float) -> np.ndarray:
  side = 2 * max(1, round(radius_px)) + 1
  return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
