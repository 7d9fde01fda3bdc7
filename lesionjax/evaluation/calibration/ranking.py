"""What a ranking of images costs and finds at every cut, under many resamples at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lesionjax.evaluation.calibration.resampling import Groups

_BLOCK_ELEMENTS = 2_000_000


class Ranking:
  """Images in falling order of a score, cut only between different scores.

  Args:
    scores: float [N].
    drawn: resamples of the groups.
  """

  def __init__(self, scores: np.ndarray, drawn: Groups):
    scores = np.asarray(scores)
    self._order = np.argsort(-scores, kind='stable')
    ranked = scores[self._order]
    self._ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    self._drawn = drawn

  def cumulated(self, *counted: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Yields blocks of resamples: of each argument, float [N], its sum above every cut.

    Returns:
      Lists of float [r, T]: r resamples, T cuts, the last of which takes all images in.
    """
    index = self._drawn.index[self._order]
    values = [np.asarray(value, np.float64)[self._order] for value in counted]
    blocks = -(-len(self._drawn.weights) * len(index) // _BLOCK_ELEMENTS)
    for weights in np.array_split(self._drawn.weights, blocks):
      rows = np.take(weights, index, axis=1).astype(np.float64)
      yield [np.cumsum(rows * value, axis=1)[:, self._ends] for value in values]
