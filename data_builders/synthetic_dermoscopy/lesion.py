"""One lesion on its skin, in lesion coordinates: what all its photographs share."""

from __future__ import annotations

import dataclasses

import numpy as np

from data_builders.synthetic_dermoscopy import classes, colour, fields, skin
from data_builders.synthetic_dermoscopy.canvas import Canvas
from data_builders.synthetic_dermoscopy.plan import CLASS_NAMES


@dataclasses.dataclass(frozen=True)
class Lesion:
  """A drawn lesion.

  Attributes:
    density: float32 [H, W, 3], optical density relative to the skin's colour.
    inside: float32 [H, W], soft membership; .5 is the border.
    skin_lab: CIELAB [3] of the clean skin, of the promised typology angle.
  """

  density: np.ndarray
  inside: np.ndarray
  skin_lab: np.ndarray


def draw_lesion(label: int, ita_deg: float, seed: int, side_px: int) -> Lesion:
  """Draws a lesion of a class on skin of a tone.

  Args:
    label: index into `plan.CLASS_NAMES`.
    ita_deg: typology angle of the skin.
    seed: with `label`, all that the drawing depends on.
    side_px: side of the photographs to be taken.
  """
  rng = fields.generator(1, seed, label)
  lab = colour.skin_lab(ita_deg, rng)
  canvas = Canvas(side_px, rng)
  skin.draw_skin(canvas, ita_deg)
  outline = classes.RECIPES[CLASS_NAMES[label]](canvas)
  return Lesion(canvas.density(colour.lab_to_rgb(lab)), outline.inside, lab)
