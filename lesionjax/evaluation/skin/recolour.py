"""Another skin around the same lesion: a pure function of image, mask and colour."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from lesionjax.evaluation.skin import ita

_FEATHER = 0.01  # of the longer side: about half the width of the transition
_CORE = 0.6  # of the largest distance to the outline: from there on inwards nothing changes
_CLEAR = 1.3  # a rim that is less lesion than 1 - 1 / this is skin altogether
_LEAST = 30  # pixels of skin from which its colour is taken
_RANGE = (1.0, 99.0)  # percentiles of the skin's lightness that are shifted in full
_LEAST_CONTRAST = 10.0  # units of Lab between skin and lesion; below, noise would decide


class Skin(NamedTuple):
  """The skin of one image.

  Attributes:
    colour: CIELAB [3], the median.
    lightness: L* of its darkest and lightest parts.
  """

  colour: np.ndarray
  lightness: tuple[float, float]


def recolour(image: np.ndarray, mask: np.ndarray | None, colour: np.ndarray) -> np.ndarray:
  """Gives the skin around a lesion another colour and keeps its texture.

  Lab is shifted by the difference between the wanted colour and the skin's median. Beyond the
  skin's own lightness the shift fades towards black and white, so that frame, hair, ruler and gloss
  keep theirs and nothing is clipped. In the rim of the lesion, where masks hold some skin, a pixel
  is taken for a mixture of skin and the lesion's core, and its share of skin is shifted.

  Args:
    image: uint8 [H, W, 3] RGB.
    mask: uint8 or bool [H, W], above 0 inside the lesion; None or empty leaves the image as it is,
      since nobody knows then what is skin.
    colour: CIELAB (D65) [3] that the median of the skin becomes, such as a tone of `tones.palette`.

  Returns:
    uint8 [H, W, 3]; the core of the lesion as in `image`. Without a mask or enough skin, a copy.
  """
  skin = skin_of(image, mask)
  return image.copy() if skin is None or mask is None else shifted(image, mask, skin, colour)


def skin_of(image: np.ndarray, mask: np.ndarray | None) -> Skin | None:
  """Measures the skin around a lesion; None where no lesion is known, or too little skin."""
  if mask is None or not np.any(mask):
    return None
  found = ita.skin_colours(*ita.shrink(image, mask))
  if found.shape[1] < _LEAST:
    return None
  darkest, lightest = np.percentile(found[0], _RANGE)
  return Skin(np.median(found, axis=1), (float(darkest), float(lightest)))


def shifted(image: np.ndarray, mask: np.ndarray, skin: Skin, colour: np.ndarray) -> np.ndarray:
  """Returns `recolour` of an image whose skin is known."""
  lab = ita.to_lab(image)
  share = _share_of_skin(lab, mask, skin) * _strength(lab[..., 0], skin, float(colour[0]))
  lab += share[..., None] * (colour - skin.colour).astype(np.float32)
  rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
  changed = np.rint(rgb.clip(0, 1) * 255).astype(np.uint8)
  return np.where(share[..., None] > 0, changed, image)


def _strength(light: np.ndarray, skin: Skin, wanted: float) -> np.ndarray:
  """Share of the shift by lightness: 1 on the skin's own, 0 at black and white; float32 [H, W]."""
  middle = float(skin.colour[0])
  # Not so far from the middle that what is darker or lighter would change places with it.
  darkest = max(skin.lightness[0], middle - wanted / 2, 1.0)
  lightest = min(skin.lightness[1], middle + (100 - wanted) / 2, 99.0)
  known = [0.0, darkest, lightest, 100.0]
  return np.interp(light, known, [0.0, 1.0, 1.0, 0.0]).astype(np.float32)


def _share_of_skin(lab: np.ndarray, mask: np.ndarray, skin: Skin) -> np.ndarray:
  """How much of a pixel is skin: 1 outside the lesion, 0 in its core; float32 [H, W]."""
  inside = (np.asarray(mask) > 0).astype(np.uint8)
  width = 2 * max(1, round(_FEATHER * max(inside.shape))) + 1
  outside = cv2.blur(cv2.blur(1 - inside.astype(np.float32), (width, width)), (width, width))
  depth = cv2.distanceTransform(np.pad(inside, 1, mode='edge'), cv2.DIST_L2, 3)[1:-1, 1:-1]
  depth /= max(1.0, float(depth.max()))
  core = np.median(lab[depth >= _CORE], axis=0)
  # Mixture: lab = (1 - p) skin + p core; p is where it lies between the two.
  axis = (core - skin.colour).astype(np.float32)
  axis /= max(float(axis @ axis), _LEAST_CONTRAST**2)
  lesion = cv2.blur((lab - skin.colour.astype(np.float32)) @ axis, (width, width))
  rim = (_CLEAR * (1 - lesion)).clip(0, 1) * (2 - 2 * depth / _CORE).clip(0, 1)
  return np.maximum(outside, rim)
