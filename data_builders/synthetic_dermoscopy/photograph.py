"""One photograph of a drawn lesion: pose, light, artefacts, hairs, encoding."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from data_builders.synthetic_dermoscopy import artefacts, colour, fields
from data_builders.synthetic_dermoscopy.lesion import Lesion, draw_lesion
from data_builders.synthetic_dermoscopy.plan import Photograph

JPEG_QUALITY = 92


@dataclasses.dataclass(frozen=True)
class Picture:
  """What one photograph shows.

  Attributes:
    image: uint8 [S, S, 3] RGB.
    image_without_hair: uint8 [S, S, 3] RGB, equal to `image` outside `hair_mask`.
    mask: uint8 [S, S], 1 inside the lesion.
    hair_mask: uint8 [S, S], 1 where a hair hides anything at all.
  """

  image: np.ndarray
  image_without_hair: np.ndarray
  mask: np.ndarray
  hair_mask: np.ndarray


def take_photograph(lesion: Lesion, seed: int, side_px: int) -> Picture:
  """Photographs a lesion in a pose, a light and with hairs that depend on `seed` alone."""
  rng = fields.generator(2, seed)
  density, inside = _pose(lesion, rng, side_px)
  lab = colour.relight(lesion.skin_lab, rng)
  skin_rgb = colour.lab_to_rgb(lab).astype(np.float32)
  contrast = rng.uniform(0.75, 1.2)
  if rng.random() < 0.35:
    density = cv2.GaussianBlur(density, (0, 0), rng.uniform(0.001, 0.004) * side_px + 0.05)
  to_log = np.column_stack([np.eye(3) * -contrast, np.log(skin_rgb)])
  clean = cv2.exp(cv2.transform(density, to_log.astype(np.float32)))
  row, column = (int(v) for v in rng.integers(0, fields.GRAIN_PX - side_px, 2))
  grain = fields.grain_tile()[row : row + side_px, column : column + side_px]
  clean = cv2.scaleAdd(cv2.multiply(clean, grain), rng.uniform(0.008, 0.025), clean)
  if rng.random() < 0.2:
    artefacts.draw_gel(clean, rng)
  if rng.random() < 0.15:
    artefacts.draw_ruler(clean, rng)
  light = artefacts.light_field(side_px, rng)
  alpha, hair_rgb = artefacts.draw_hairs(side_px, rng)
  image_without_hair = _to_uint8(cv2.multiply(clean, cv2.merge([light] * 3)))
  image = image_without_hair.copy()
  hair = alpha > 0
  if hair.any():
    skin, share = clean[hair], alpha[hair][:, None]
    hairy = (skin + share * (hair_rgb - skin)) * light[hair][:, None]
    image[hair] = _to_uint8(hairy)
  return Picture(
    image=image,
    image_without_hair=image_without_hair,
    mask=(inside >= 0.5).astype(np.uint8),
    hair_mask=hair.astype(np.uint8),
  )


def _pose(lesion: Lesion, rng: np.random.Generator, side_px: int) -> tuple[np.ndarray, np.ndarray]:
  """Turns, shifts and zooms the board; returns density [S, S, 3] and membership [S, S]."""
  size = lesion.inside.shape[0]
  matrix = cv2.getRotationMatrix2D(
    ((size - 1) / 2, (size - 1) / 2), rng.uniform(0, 360), rng.uniform(0.85, 1.2)
  )
  matrix[:, 2] += (side_px - size) / 2 + rng.normal(0, 0.035, 2) * side_px
  turned = (side_px, side_px)
  density = cv2.warpAffine(lesion.density, matrix, turned, borderMode=cv2.BORDER_REFLECT)
  return density, cv2.warpAffine(lesion.inside, matrix, turned)


def _to_uint8(image: np.ndarray) -> np.ndarray:
  """Rounds values from 0 to 1, none of them negative, to 0..255; clips what is brighter."""
  return cv2.convertScaleAbs(image, alpha=255)


def draw_records(shots: list[Photograph], side_px: int) -> list[dict[str, bytes]]:
  """Draws all photographs of one lesion and encodes them.

  Args:
    shots: photographs of the same lesion.
    side_px: side of the images.

  Returns:
    For each photograph the encoded `image`, `image_without_hair` (JPEG), `mask` and `hair_mask`
    (PNG, grey, 0 and 255).
  """
  first = shots[0]
  lesion = draw_lesion(first.label, first.ita_deg, first.lesion_seed, side_px)
  records = []
  for shot in shots:
    picture = take_photograph(lesion, shot.photograph_seed, side_px)
    clean = _encode('.jpg', cv2.cvtColor(picture.image_without_hair, cv2.COLOR_RGB2BGR))
    hairy = clean
    if picture.hair_mask.any():
      hairy = _encode('.jpg', cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR))
    records.append(
      {
        'image': hairy,
        'image_without_hair': clean,
        'mask': _encode('.png', picture.mask * 255),
        'hair_mask': _encode('.png', picture.hair_mask * 255),
      }
    )
  return records


def _encode(kind: str, image: np.ndarray) -> bytes:
  options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if kind == '.jpg' else []
  done, data = cv2.imencode(kind, image, options)
  assert done
  return data.tobytes()
