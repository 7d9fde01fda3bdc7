"""Clean skin around the lesion: furrows, mottling, freckles, follicles, fine vessels."""

from __future__ import annotations

import numpy as np

from data_builders.synthetic_dermoscopy import fields, structures
from data_builders.synthetic_dermoscopy.canvas import Canvas


def draw_skin(canvas: Canvas, ita_deg: float) -> None:
  """Adds the texture of the surrounding skin, which leaves its median colour as it is.

  Args:
    canvas: the empty board.
    ita_deg: typology angle; light skin freckles and shows its vessels, dark skin its furrows.
  """
  rng = canvas.rng
  darkness = float(np.interp(ita_deg, [-50, 60], [1, 0]))
  canvas.melanin += np.float32(0.012 + 0.03 * darkness) * canvas.noise(0.14, 3)
  canvas.blood += np.float32(rng.uniform(0.008, 0.03)) * canvas.noise(0.06, 3)
  furrows = structures.honeycomb(canvas, rng.uniform(0.035, 0.06), 0.9)
  lines = fields.smoothstep(0.16, 0.0, furrows)
  canvas.melanin += np.float32(rng.uniform(0.015, 0.04) + 0.06 * darkness) * (lines - 0.3)
  if rng.random() < 0.3 * (1 - darkness):
    spots = fields.smoothstep(0.8, 3.2, canvas.noise(0.028) + 0.7 * canvas.noise(0.2))
    canvas.melanin += np.float32(rng.uniform(0.12, 0.3)) * spots
  if rng.random() < 0.25:
    count = int(rng.integers(25, 60))
    at = rng.uniform(-0.6, 0.6, (count, 2))
    pores = canvas.discs(at, rng.uniform(0.005, 0.009, count), blur=0.004)
    canvas.melanin += np.float32(rng.uniform(0.1, 0.3)) * pores
  if rng.random() < 0.4 * (1 - 0.7 * darkness):
    vessels = fields.smoothstep(0.12, 0.0, np.abs(canvas.noise(0.12, 2)))
    canvas.blood += np.float32(rng.uniform(0.06, 0.18)) * vessels * (canvas.noise(0.3) > 0.2)
