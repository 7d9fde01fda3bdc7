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
  inked = canvas.melanin, canvas.blood
  canvas.melanin, canvas.blood = np.zeros_like(inked[0]), np.zeros_like(inked[1])
  outline = classes.RECIPES[CLASS_NAMES[label]](canvas)
  # Nothing grown is even: mottle the lesion as finely as the picture can show.
  mottle = np.float32(1) + np.float32(rng.uniform(0.06, 0.16)) * canvas.noise(0.022, 2)
  canvas.melanin = inked[0] + canvas.melanin * mottle
  canvas.blood = inked[1] + canvas.blood * mottle
  return Lesion(canvas.density(colour.lab_to_rgb(lab)), outline.inside, lab)
