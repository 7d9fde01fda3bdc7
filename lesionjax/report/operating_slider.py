"""What the page needs to count again at any threshold: compact, and exact where it counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionjax.evaluation.operating import Counts

MOST_STEPS = 2000  # of the slider; more are thinned evenly, which keeps the data below 50 kB


def slider_data(
  truth: np.ndarray, scores: np.ndarray, named: Mapping[str, tuple[str, float]], start: str
) -> dict[str, Any]:
  """Cumulative counts at the distinct thresholds of a split.

  Args:
    truth: bool [N], which images are positive; N at least 1.
    scores: float [N].
    named: thresholds fitted elsewhere: name to (title, threshold).
    start: the name that the slider starts at; where it is none of them, it starts at .5.

  Returns:
    json: the text that templates/operating.js reads: `t` thresholds (null: above every score), `tp`
    and `fp` of `score >= t`, `positives`, `negatives`, `named` (title, threshold and step of every
    name), `start` (a name or ''), `step` to start at. steps: index of the last one.
  """
  counts = Counts.of(truth, scores)
  places = {name: _place(counts, threshold) for name, (_, threshold) in named.items()}
  first = places.get(start, _place(counts, 0.5))
  kept = _thin(len(counts.thresholds), [*places.values(), first])
  shown: list[float | None] = [None, *_shortest(counts.thresholds[1:])]
  step = {place: index for index, place in enumerate(kept)}
  data = {
    't': [shown[place] for place in kept],
    'tp': counts.tp[kept].tolist(),
    'fp': counts.fp[kept].tolist(),
    'positives': counts.positives,
    'negatives': counts.negatives,
    'named': {
      name: {'title': title, 'threshold': threshold, 'step': step[places[name]]}
      for name, (title, threshold) in named.items()
    },
    'start': start if start in named else '',
    'step': step[first],
  }
  return {'json': json.dumps(data, separators=(',', ':')), 'steps': len(kept) - 1}


def _place(counts: Counts, threshold: float) -> int:
  """The candidate that calls the same images positive as a threshold from elsewhere."""
  return int((counts.thresholds[1:] >= threshold).sum())


def _thin(size: int, needed: list[int]) -> list[int]:
  """At most `MOST_STEPS` indices over the whole range, the needed ones among them."""
  room = min(size, MOST_STEPS - len(needed))
  even = np.linspace(0, size - 1, room).round().astype(int)
  return np.unique([*even, *needed]).tolist()


def _shortest(falling: np.ndarray) -> list[float]:
  """The shortest decimals that call the same images positive: above the next lower score."""
  below = np.append(falling[1:], -np.inf)
  found = falling.copy()
  open_ = np.ones(len(falling), bool)
  for digits in range(3, 16):
    rounded = np.floor(falling * 10.0**digits) / 10.0**digits
    fits = open_ & (rounded > below) & (rounded <= falling)
    found[fits] = rounded[fits]
    open_ &= ~fits
  return found.tolist()
