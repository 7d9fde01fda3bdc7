"""Eight recipes: how a lesion of each class is built from outline, ink and structures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from data_builders.synthetic_dermoscopy import structures as st
from data_builders.synthetic_dermoscopy.canvas import Canvas, Outline, draw_outline
from data_builders.synthetic_dermoscopy.fields import smoothstep
from data_builders.synthetic_dermoscopy.inks import draw_ink, draw_radius

CREAM = (0.93, 0.87, 0.76)
MILK = (0.94, 0.89, 0.87)
VEIL = (0.30, 0.33, 0.42)
SLATE = (0.30, 0.31, 0.38)
HORN = (0.90, 0.80, 0.62)
CLOT = (0.25, 0.05, 0.05)


def draw_nv(canvas: Canvas) -> Outline:
  """Naevus: round and symmetric, regular network or globules, fading border."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.35), (0, 0.03, 0.03, 0.02), 0.04, 0.06,
    rng.uniform(0.12, 0.35),
  )  # fmt: skip
  ink = draw_ink(rng, 'nv')
  vigour = rng.uniform(0.25, 0.8)
  depth = np.clip(outline.level, 0, 1)
  body = outline.inside * (0.55 + rng.uniform(-0.1, 0.6) * depth)
  pattern = rng.choice(['network', 'globules', 'rim', 'plain'], p=[0.45, 0.25, 0.12, 0.18])
  if pattern == 'network':
    net = st.network(canvas, rng.uniform(0.026, 0.04), 0.35, rng.uniform(0.18, 0.28))
    body = body * (1 + vigour * (0.85 * net - 0.5))
  elif pattern == 'globules':
    cells = st.honeycomb(canvas, rng.uniform(0.036, 0.055), 0.45)
    body = body * (1 + vigour * (0.9 * smoothstep(0.14, 0.36, cells) - 0.4))
  elif pattern == 'rim':
    count = round(2 * np.pi * outline.radius / rng.uniform(0.03, 0.04))
    band = smoothstep(0.075, 0.03, np.abs(outline.level - 0.02))
    dots = band * smoothstep(-0.2, 0.6, np.cos(outline.angle * count + 0.5 * canvas.noise(0.1)))
    body = np.maximum(body * 0.8, (0.5 + 0.5 * vigour) * dots)
  canvas.stain(body, ink)
  return outline


def draw_mel(canvas: Canvas) -> Outline:
  """Melanoma: asymmetric, notched, several colours, atypical network, streaks, veil, dots."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.1, 1.5), (0.11, 0.13, 0.12, 0.08, 0.06), 0.055, 0.08,
    rng.uniform(0.06, 0.2),
  )  # fmt: skip
  ink = draw_ink(rng, 'mel')
  side = rng.uniform(0, 2 * np.pi)
  radius = outline.radius
  slope = (canvas.x * np.cos(side) + canvas.y * np.sin(side)) * np.float32(1 / radius)
  body = np.clip(0.6 + 0.2 * slope + 0.2 * canvas.noise(0.1, 3), 0.1, 1.6).astype(np.float32)
  net = st.network(canvas, rng.uniform(0.042, 0.065), 0.8, 0.22)
  part = smoothstep(-0.4, 0.5, canvas.noise(0.2) - 0.5 * slope)
  body = body * (1 + rng.uniform(0.3, 1.0) * part * (0.8 * net - 0.4))
  where = st.polar(side + rng.normal(0, 0.4), radius * rng.uniform(0.3, 0.6))
  patch = st.blob(canvas, where, radius * rng.uniform(0.45, 0.7), 0.25)
  body = (body + rng.uniform(0.3, 0.7) * patch) * outline.inside
  if rng.random() < 0.45:
    fingers = st.streaks(canvas, outline, side, 0.9, int(rng.integers(6, 14)))
    body = np.maximum(body, rng.uniform(0.6, 0.9) * fingers)
    outline = dataclasses.replace(outline, inside=np.maximum(outline.inside, fingers))
  at = st.scatter(canvas, outline, int(rng.integers(6, 26)), (0.1, 0.98))
  body += 0.45 * canvas.discs(at, rng.uniform(0.004, 0.013, len(at)), blur=0.004)
  canvas.stain(body, ink)
  if rng.random() < 0.6:
    where = st.polar(side + rng.normal(0, 0.8), radius * rng.uniform(0.1, 0.4))
    veil = st.blob(canvas, where, radius * rng.uniform(0.45, 0.75), 0.3)
    canvas.cover(rng.uniform(0.35, 0.65) * veil * veil * outline.inside, VEIL)
  if rng.random() < 0.35:
    where = st.polar(side + np.pi + rng.normal(0, 0.5), radius * 0.5)
    scar = st.blob(canvas, where, radius * rng.uniform(0.35, 0.55), 0.35)
    canvas.cover(rng.uniform(0.3, 0.5) * scar * outline.inside, MILK)
  return outline


def draw_bcc(canvas: Canvas) -> Outline:
  """Basal cell carcinoma: translucent, arborising vessels, ovoid nests, leaf edges, ulcer."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.35), (0.03, 0.06, 0.05, 0.03), 0.06, 0.07,
    rng.uniform(0.2, 0.4),
  )  # fmt: skip
  radius = outline.radius
  ink = draw_ink(rng, 'bcc')
  body = outline.inside * (0.5 + 0.12 * canvas.noise(0.1, 3))
  nests = st.scatter(canvas, outline, int(rng.integers(2, 8)), (0.4, 0.95), gap=0.05)
  ovoid = canvas.discs(nests, rng.uniform(0.014, 0.034, len(nests)), stretch=1.5, blur=0.008)
  canvas.stain(body + 0.8 * ovoid, ink)
  if rng.random() < 0.6:
    canvas.cover(rng.uniform(0.3, 0.6) * ovoid, SLATE)
  canvas.cover(rng.uniform(0.05, 0.25) * smoothstep(0.1, 0.8, outline.level), MILK)
  width = rng.uniform(0.008, 0.0135)
  vessels = st.arborising_vessels(canvas, outline, int(rng.integers(2, 5)), width)
  canvas.cover(rng.uniform(0.5, 0.85) * vessels, (0.48, 0.09, 0.12))
  if rng.random() < 0.4:
    where = st.polar(rng.uniform(0, 6.3), radius * rng.uniform(0.1, 0.5))
    ulcer = st.blob(canvas, where, radius * rng.uniform(0.2, 0.35), 0.35)
    canvas.cover(0.7 * ulcer, (0.40, 0.14, 0.08))
  return outline


def draw_bkl(canvas: Canvas) -> Outline:
  """Seborrhoeic keratosis: stuck on, moth-eaten edge, cysts, comedo openings, ridges."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.4), (0.03, 0.05, 0.05, 0.04, 0.03), 0.045, 0.075,
    rng.uniform(0.04, 0.1),
  )  # fmt: skip
  ink = draw_ink(rng, 'bkl')
  vigour = rng.uniform(0.5, 1.0)
  body = outline.inside * (0.68 + 0.14 * canvas.noise(0.06, 3))
  ridged = rng.random() < 0.45
  if ridged:
    body = body * (1 + 0.5 * vigour * st.ridges(canvas, rng.uniform(0.035, 0.055)))
  few = 0.4 if ridged else 1.0
  openings = st.scatter(canvas, outline, int(few * rng.integers(6, 18)), (0, 0.88), gap=0.04)
  dark = canvas.discs(openings, rng.uniform(0.007, 0.017, len(openings)), stretch=1.4, blur=0.005)
  canvas.stain(body + 0.9 * vigour * dark, ink)
  cysts = st.scatter(canvas, outline, int(few * rng.integers(10, 30)), (0, 0.9), gap=0.03)
  sizes = rng.uniform(0.005, 0.016, len(cysts))
  canvas.cover((0.35 + 0.4 * vigour) * canvas.discs(cysts, sizes, blur=0.006), CREAM)
  return outline


def draw_df(canvas: Canvas) -> Outline:
  """Dermatofibroma: white scar in the centre, delicate network around it, no clear border."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.25), (0.0, 0.04, 0.03), 0.05, 0.07,
    rng.uniform(0.35, 0.6),
  )  # fmt: skip
  ink = draw_ink(rng, 'df')
  net = st.network(canvas, rng.uniform(0.026, 0.036), 0.4, 0.22)
  ring = outline.inside * smoothstep(0.95, 0.35, outline.level)
  canvas.stain(ring * (0.55 + rng.uniform(0.2, 0.5) * net) + 0.2 * outline.inside, ink)
  reach = outline.level + 0.12 * canvas.noise(0.07, 3)
  size = rng.uniform(0.35, 0.55)
  scar = smoothstep(size, size + 0.4, reach)
  strands = np.clip(0.85 + 0.2 * canvas.noise(0.05, 2), 0, 1)
  canvas.cover(rng.uniform(0.5, 0.9) * scar * strands, MILK)
  return outline


def draw_vasc(canvas: Canvas) -> Outline:
  """Vascular lesion: sharply bounded lacunae, red to black, between pale septa."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.3), (0.02, 0.05, 0.04), 0.03, 0.08,
    rng.uniform(0.04, 0.12),
  )  # fmt: skip
  ink = draw_ink(rng, 'vasc')
  gap = rng.uniform(0.045, 0.075)
  at = st.scatter(canvas, outline, 60, (0, 0.95), gap)
  sizes = gap * rng.uniform(0.38, 0.62, len(at))
  lacunae = canvas.discs(at, sizes, stretch=1.25, blur=0.006)
  full = np.clip(0.85 + 0.3 * canvas.noise(2 * gap), 0.3, 1.6)
  canvas.stain(outline.inside * (rng.uniform(0.25, 0.5) + lacunae * full), ink)
  septa = (1 - lacunae) * smoothstep(0.6, 1.0, outline.inside)
  canvas.cover(rng.uniform(0.05, 0.3) * septa, MILK)
  return outline


def draw_ak(canvas: Canvas) -> Outline:
  """Actinic keratosis: no border, reddish pseudo-network around pale follicles, white scales."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng) * 1.1, rng.uniform(1.1, 1.5), (0.05, 0.08, 0.06, 0.05), 0.1, 0.08,
    rng.uniform(0.45, 0.8),
  )  # fmt: skip
  ink = draw_ink(rng, 'ak')
  vigour = rng.uniform(0.5, 1.0)
  cells = st.honeycomb(canvas, rng.uniform(0.055, 0.08), 0.45)
  net = smoothstep(0.34, 0.08, cells)
  uneven = np.clip(1 + 0.3 * canvas.noise(0.08, 2), 0.2, 2)
  canvas.stain(outline.inside * uneven * (0.5 + 0.45 * vigour * (net - 0.3)), ink)
  follicles = smoothstep(0.26, 0.38, cells) * smoothstep(0.2, 0.8, outline.inside)
  canvas.cover(0.45 * vigour * follicles, CREAM)
  plugs = smoothstep(0.43, 0.47, cells) * outline.inside
  canvas.cover(0.4 * plugs, (0.50, 0.33, 0.20))
  if rng.random() < 0.5:
    flakes = smoothstep(1.0, 1.6, canvas.noise(0.05, 3) + 0.4 * canvas.noise(0.2))
    canvas.cover(rng.uniform(0.3, 0.7) * flakes * outline.inside, MILK)
  return outline


def draw_scc(canvas: Canvas) -> Outline:
  """Squamous cell carcinoma: central keratin, white circles, looped vessels around it."""
  rng = canvas.rng
  outline = draw_outline(
    canvas, draw_radius(rng), rng.uniform(1.0, 1.25), (0.04, 0.06, 0.05, 0.03), 0.06, 0.07,
    rng.uniform(0.15, 0.35),
  )  # fmt: skip
  ink = draw_ink(rng, 'scc')
  canvas.stain(outline.inside * (0.6 + 0.15 * canvas.noise(0.07, 3)), ink)
  loops, halos = st.hairpin_vessels(canvas, outline, int(rng.integers(14, 30)), 0.036)
  canvas.cover(rng.uniform(0.1, 0.35) * halos, MILK)
  canvas.cover(rng.uniform(0.5, 0.8) * loops, (0.45, 0.06, 0.10))
  circles = st.scatter(canvas, outline, int(rng.integers(4, 14)), (0.3, 0.9), gap=0.045)
  rings = canvas.discs(circles, rng.uniform(0.012, 0.02, len(circles)), 0.008, blur=0.004)
  canvas.cover(rng.uniform(0.45, 0.75) * rings, CREAM)
  size = rng.uniform(0.36, 0.68)
  rough = canvas.noise(0.045, 3)
  plate = smoothstep(size, size + 0.18, outline.level + 0.13 * canvas.noise(0.1, 2) + 0.05 * rough)
  canvas.cover(plate * np.clip(rng.uniform(0.4, 0.8) + 0.18 * rough, 0, 1), HORN)
  clots = st.scatter(canvas, outline, int(rng.integers(1, 7)), (0.0, 0.5))
  canvas.cover(0.75 * canvas.discs(clots, rng.uniform(0.006, 0.02, len(clots)), blur=0.006), CLOT)
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
