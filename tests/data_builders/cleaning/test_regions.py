"""Regions against SciPy and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from data_builders.cleaning import regions


def noise(share: float, seed: int) -> np.ndarray:
  return np.random.default_rng(seed).random((40, 31)) < share


def drawn(*rows: str) -> np.ndarray:
  return np.array([[cell == '#' for cell in row] for row in rows])


@pytest.mark.parametrize('share', [0.2, 0.4, 0.7])
def test_equals_scipy(share):
  ndimage = pytest.importorskip('scipy.ndimage')
  mask = noise(share, 0)
  np.testing.assert_array_equal(regions.fill_holes(mask), ndimage.binary_fill_holes(mask))
  labels, count = ndimage.label(mask, np.ones((3, 3)))
  areas = np.bincount(labels.ravel())[1:]
  assert len(regions.components(mask)[1]) == count + 1
  largest = regions.largest_component(mask)
  assert largest.sum() == areas.max()
  assert len(np.unique(labels[largest])) == 1
  kept = regions.without_small(mask, 4)
  np.testing.assert_array_equal(kept, np.isin(labels, 1 + np.flatnonzero(areas >= 4)))


def test_a_diagonal_line_holds_together_and_keeps_its_sides_apart():
  ring = drawn('.....', '..#..', '.#.#.', '..#..', '.....')
  np.testing.assert_array_equal(regions.largest_component(ring), ring)
  assert regions.fill_holes(ring)[2, 2]
  assert regions.fill_holes(ring).sum() == 5
  opened = drawn('..#..', '.#.#.', '.#.#.')
  np.testing.assert_array_equal(regions.fill_holes(opened), opened)  # open to the border


def test_empty_and_full_masks_stay():
  for mask in (np.zeros((4, 5), bool), np.ones((4, 5), bool)):
    for function in (regions.largest_component, regions.fill_holes):
      np.testing.assert_array_equal(function(mask), mask)
