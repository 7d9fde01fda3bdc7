"""Predictions of a classifier whose truth is known: logits that are true to their probabilities."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Drawn:
  """Predictions; images of a group have the same class."""

  labels: np.ndarray
  logits: np.ndarray
  groups: np.ndarray


def draw(cases, shares=(0.6, 0.3, 0.1), skill=1.5, sharpness=1.0, images=1, seed=0):
  """Draws `cases` lesions of `images` images each; logits are `sharpness` times the true ones."""
  rng = np.random.default_rng(seed)
  classes = len(shares)
  truth = rng.choice(classes, p=shares, size=cases)
  # Two normal clouds a class apart: the log odds of class k are skill * x_k plus a constant.
  seen = rng.normal(size=(cases, classes)) + skill * np.eye(classes)[truth]
  logits = sharpness * (skill * seen + np.log(shares))
  owner = np.repeat(np.arange(cases), images)
  return Drawn(truth[owner], logits[owner], np.array([f'lesion_{case}' for case in owner]))
