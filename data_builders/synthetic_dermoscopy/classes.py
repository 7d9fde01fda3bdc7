"""Eight recipes: how a lesion of each class is built from outline, ink and structures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data_builders.synthetic_dermoscopy import structures as st
from data_builders.synthetic_dermoscopy.canvas import Canvas, Outline, draw_outline
from data_builders.synthetic_dermoscopy.fields import smoothstep
from data_builders.synthetic_dermoscopy.inks import draw_ink, draw_radius

CREAM = (0.93, 0.87, 0.76)
MILK = (0.94, 0.89, 0.87)
VEIL = (0.42, 0.47, 0.58)
SLATE = (0.30, 0.31, 0.38)
CLOT = (0.25, 0.05, 0.05)


def draw_nv(canvas: Canvas) -> Outline:
  """Naevus: round and symmetric, regular network or globules, fading border."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.3), (0, 0.02, 0.02), 0.03, 0.06,
    rng.uniform(0.1, 0.25),
  )  # fmt: skip
  ink = draw_ink(rng, 'nv')
  depth = np.clip(outline.level, 0, 1)
  body = outline.inside * (0.55 + rng.uniform(0.0, 0.5) * depth)
  pattern = rng.choice(['network', 'globules', 'rim', 'plain'], p=[0.45, 0.25, 0.15, 0.15])
  if pattern == 'network':
    net = st.network(canvas, rng.uniform(0.038, 0.055), 0.1, rng.uniform(0.14, 0.22))
    body = body * (0.45 + 0.95 * net)
  elif pattern == 'globules':
    cells = st.honeycomb(canvas, rng.uniform(0.04, 0.06), 0.25)
    body = body * (0.55 + 1.0 * smoothstep(0.18, 0.34, cells))
  elif pattern == 'rim':
    steps = np.arange(0, 2 * np.pi, 0.034 / outline.radius)
    ring = np.stack([np.cos(steps), np.sin(steps)], axis=1) * outline.radius * 0.98
    dots = canvas.discs(ring, np.full(len(ring), 0.013), blur=0.003)
    body = np.maximum(body * 0.9, 0.95 * dots)
  else:
    body = body * (1 + 0.12 * canvas.noise(0.05, 2))
  canvas.stain(body, ink)
  return outline


def draw_mel(canvas: Canvas) -> Outline:
  """Melanoma: asymmetric, notched, several colours, atypical network, streaks, veil, dots."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.1, 1.5), (0.10, 0.13, 0.13, 0.08, 0.05), 0.09, 0.08,
    rng.uniform(0.05, 0.14),
  )  # fmt: skip
  ink = draw_ink(rng, 'mel')
  side = rng.uniform(0, 2 * np.pi)
  radius = outline.radius
  slope = (canvas.x * np.cos(side) + canvas.y * np.sin(side)) * np.float32(1 / radius)
  body = np.clip(0.62 + 0.22 * slope + 0.22 * canvas.noise(0.12, 2), 0.12, 1.6).astype(np.float32)
  net = st.network(canvas, rng.uniform(0.05, 0.075), 1.0, 0.2)
  part = smoothstep(-0.4, 0.3, canvas.noise(0.2) - 0.5 * slope)
  body = body * (1 + part * (0.8 * net - 0.35))
  patch = st.blob(canvas, st.polar(side + rng.normal(0, 0.4), radius * 0.45), radius * 0.5, 0.2)
  body = (body + 0.75 * patch) * outline.inside
  if rng.random() < 0.6:
    fingers = st.streaks(canvas, outline, side, 0.7, int(rng.integers(5, 10)))
    body = np.maximum(body, 0.95 * fingers)
  at = st.scatter(canvas, outline, int(rng.integers(6, 22)), (0.1, 1.0))
  body += 0.5 * canvas.discs(at, rng.uniform(0.005, 0.015, len(at)), blur=0.003)
  canvas.stain(body, ink)
  if rng.random() < 0.65:
    where = st.polar(side + rng.normal(0, 0.8), radius * rng.uniform(0.1, 0.4))
    veil = st.blob(canvas, where, radius * rng.uniform(0.4, 0.6), 0.3)
    canvas.cover(0.6 * veil * outline.inside, VEIL)
  if rng.random() < 0.4:
    where = st.polar(side + np.pi + rng.normal(0, 0.5), radius * 0.5)
    scar = st.blob(canvas, where, radius * rng.uniform(0.3, 0.45), 0.35)
    canvas.cover(0.5 * scar * outline.inside, MILK)
  return outline


def draw_bcc(canvas: Canvas) -> Outline:
  """Basal cell carcinoma: translucent, arborising vessels, ovoid nests, leaf edges, ulcer."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.35), (0.02, 0.05, 0.04), 0.05, 0.08,
    rng.uniform(0.2, 0.35),
  )  # fmt: skip
  radius = outline.radius
  ink = draw_ink(rng, 'bcc')
  body = outline.inside * (0.32 + 0.07 * canvas.noise(0.1, 2))
  nests = st.scatter(canvas, outline, int(rng.integers(2, 7)), (0.45, 0.95), gap=0.06)
  ovoid = canvas.discs(nests, rng.uniform(0.018, 0.04, len(nests)), stretch=1.5, blur=0.006)
  canvas.stain(body + 0.85 * ovoid, ink)
  if rng.random() < 0.6:
    canvas.cover(0.5 * ovoid, SLATE)
  canvas.cover(0.25 * smoothstep(0.1, 0.8, outline.level), MILK)
  vessels = st.arborising_vessels(
    canvas, outline, int(rng.integers(2, 4)), rng.uniform(0.013, 0.02)
  )
  canvas.cover(0.8 * vessels, (0.55, 0.10, 0.13))
  if rng.random() < 0.5:
    where = st.polar(rng.uniform(0, 6.3), radius * rng.uniform(0.1, 0.5))
    ulcer = st.blob(canvas, where, radius * rng.uniform(0.2, 0.32), 0.25)
    canvas.cover(0.75 * ulcer, (0.42, 0.13, 0.08))
  return outline


def draw_bkl(canvas: Canvas) -> Outline:
  """Seborrhoeic keratosis: stuck on, moth-eaten edge, cysts, comedo openings, ridges."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.4), (0.03, 0.04, 0.04, 0.03, 0.03), 0.07, 0.05,
    rng.uniform(0.03, 0.07),
  )  # fmt: skip
  ink = draw_ink(rng, 'bkl')
  body = outline.inside * (0.68 + 0.1 * canvas.noise(0.05, 2))
  if rng.random() < 0.5:
    body = body * (1 + 0.5 * st.ridges(canvas, rng.uniform(0.04, 0.06)))
    few = 0.5
  else:
    few = 1.0
  openings = st.scatter(canvas, outline, int(few * rng.integers(8, 18)), (0, 0.88), gap=0.045)
  dark = canvas.discs(openings, rng.uniform(0.010, 0.02, len(openings)), stretch=1.3, blur=0.003)
  canvas.stain(body + 0.9 * dark, ink)
  cysts = st.scatter(canvas, outline, int(few * rng.integers(12, 26)), (0, 0.9), gap=0.04)
  sizes = rng.uniform(0.009, 0.02, len(cysts))
  canvas.cover(0.75 * canvas.discs(cysts, sizes, blur=0.005), CREAM)
  return outline


def draw_df(canvas: Canvas) -> Outline:
  """Dermatofibroma: white scar in the centre, delicate network around it, no clear border."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.25), (0.0, 0.03, 0.03), 0.04, 0.07,
    rng.uniform(0.3, 0.45),
  )  # fmt: skip
  ink = draw_ink(rng, 'df')
  net = st.network(canvas, rng.uniform(0.032, 0.042), 0.25, 0.18)
  ring = outline.inside * smoothstep(0.85, 0.4, outline.level)
  canvas.stain(ring * (0.4 + 0.7 * net) + 0.15 * outline.inside, ink)
  reach = outline.level + 0.09 * canvas.noise(0.06, 2)
  size = rng.uniform(0.4, 0.55)
  scar = smoothstep(size, size + 0.2, reach)
  spokes = 0.75 + 0.25 * np.cos(outline.angle * int(rng.integers(5, 9)) + canvas.noise(0.1))
  canvas.cover((0.8 * scar * spokes).astype(np.float32), MILK)
  return outline


def draw_vasc(canvas: Canvas) -> Outline:
  """Vascular lesion: sharply bounded lacunae, red to black, between pale septa."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.3), (0.02, 0.04, 0.04), 0.03, 0.08,
    rng.uniform(0.03, 0.08),
  )  # fmt: skip
  ink = draw_ink(rng, 'vasc')
  cell = rng.uniform(0.08, 0.12)
  walls = st.honeycomb(canvas, cell, 0.9)
  lacunae = smoothstep(0.05, 0.16, walls) * (1 + 0.3 * canvas.noise(cell))
  canvas.stain(outline.inside * (0.3 + 0.75 * np.clip(lacunae, 0, 2)), ink)
  septa = smoothstep(0.12, 0.0, walls) * outline.inside
  canvas.cover(0.4 * septa, MILK)
  return outline


def draw_ak(canvas: Canvas) -> Outline:
  """Actinic keratosis: no border, reddish pseudo-network around pale follicles, white scales."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng) * 1.15, rng.uniform(1.1, 1.5), (0.04, 0.08, 0.06, 0.04), 0.1, 0.1,
    rng.uniform(0.5, 0.8),
  )  # fmt: skip
  ink = draw_ink(rng, 'ak')
  cells = st.honeycomb(canvas, rng.uniform(0.07, 0.09), 0.3)
  net = smoothstep(0.3, 0.1, cells)
  canvas.stain(outline.inside * (0.25 + 0.6 * net + 0.1 * canvas.noise(0.06, 2)), ink)
  follicles = smoothstep(0.26, 0.34, cells) * smoothstep(0.2, 0.6, outline.inside)
  canvas.cover(0.6 * follicles, CREAM)
  plugs = smoothstep(0.42, 0.47, cells) * outline.inside
  canvas.cover(0.5 * plugs, (0.55, 0.38, 0.22))
  if rng.random() < 0.6:
    flakes = smoothstep(0.9, 1.25, canvas.noise(0.05, 2) + 0.35 * canvas.noise(0.2))
    canvas.cover(0.75 * flakes * outline.inside, MILK)
  return outline


def draw_scc(canvas: Canvas) -> Outline:
  """Squamous cell carcinoma: central keratin, white circles, looped vessels around it."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.25), (0.03, 0.06, 0.05), 0.06, 0.08,
    rng.uniform(0.15, 0.3),
  )  # fmt: skip
  ink = draw_ink(rng, 'scc')
  canvas.stain(outline.inside * (0.55 + 0.1 * canvas.noise(0.08, 2)), ink)
  loops, halos = st.hairpin_vessels(canvas, outline, int(rng.integers(14, 24)), 0.05)
  canvas.cover(0.35 * halos, MILK)
  canvas.cover(0.85 * loops, (0.50, 0.06, 0.10))
  size = rng.uniform(0.42, 0.58)
  plate = smoothstep(size, size + 0.06, outline.level + 0.12 * canvas.noise(0.09, 2))
  cracks = smoothstep(0.1, 0.02, st.honeycomb(canvas, 0.08, 1.0))
  canvas.cover(plate * (0.85 - 0.5 * cracks), CREAM)
  clots = st.scatter(canvas, outline, int(rng.integers(1, 6)), (0.0, 0.45))
  canvas.cover(0.8 * canvas.discs(clots, rng.uniform(0.01, 0.025, len(clots)), blur=0.004), CLOT)
  circles = st.scatter(canvas, outline, int(rng.integers(6, 14)), (0.45, 0.9), gap=0.05)
  rings = canvas.discs(circles, rng.uniform(0.016, 0.024, len(circles)), 0.011, blur=0.002)
  canvas.cover(0.75 * rings, CREAM)
  return outline


RECIPES: dict[str, Callable[[Canvas], Outline]] = {
  'ak': draw_ak,
  'bcc': draw_bcc,
  'bkl': draw_bkl,
  'df': draw_df,
  'mel': draw_mel,
  'nv': draw_nv,
  'scc': draw_scc,
  'vasc': draw_vasc,
}
"""Class name -> the function that draws a lesion of it and returns its outline."""
