"""Size and colour of a lesion: nearly the same distributions for every class.

Shape and structure tell the class here; size and colour alone hardly do, as a data set on which
averages of colour sufficed would teach nothing about a network.
"""

from __future__ import annotations

import numpy as np

_INKS = {
  'brown': ((0.45, 0.85), (0.0, 0.2)),
  'black': ((1.0, 1.6), (0.0, 0.3)),
  'pink': ((0.0, 0.15), (0.45, 1.0)),
  'red-brown': ((0.3, 0.6), (0.3, 0.7)),
}
"""Ink -> range of melanin, range of blood."""

_SHARES = {
  'nv': (0.42, 0.2, 0.16, 0.22),
  'mel': (0.42, 0.22, 0.14, 0.22),
  'bcc': (0.38, 0.24, 0.18, 0.2),
  'bkl': (0.45, 0.2, 0.1, 0.25),
  'ak': (0.38, 0.2, 0.2, 0.22),
  'scc': (0.25, 0.15, 0.3, 0.3),
  'df': (0.38, 0.15, 0.2, 0.27),
  'vasc': (0.2, 0.26, 0.22, 0.32),
}
"""Class -> share of each ink, in the order of `_INKS`."""


def draw_ink(rng: np.random.Generator, name: str) -> tuple[float, float]:
  """Draws a lesion's ink for a class: melanin and blood per unit of stain."""
  chosen = list(_INKS)[int(rng.choice(len(_INKS), p=_SHARES[name]))]
  melanin, blood = _INKS[chosen]
  if name == 'vasc':
    return rng.uniform(*melanin) * 0.7, rng.uniform(*blood) + 0.12
  return rng.uniform(*melanin), rng.uniform(*blood)


def draw_radius(rng: np.random.Generator) -> float:
  """Draws a lesion's mean radius in image sides, whatever the class."""
  return float(rng.uniform(0.2, 0.34))
