"""Shares and hits of maps made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lesionjax.evaluation.relevance import inside


def quarter(side=8):
  mask = np.zeros((1, side, side), bool)
  mask[0, : side // 2, : side // 2] = True
  return mask


def test_share_of_a_map_made_by_hand():
  relevance = np.zeros((3, 8, 8))
  relevance[0, 0, 0], relevance[0, 7, 7] = 0.9, 0.3  # three quarters inside
  relevance[1] = 0.2  # the same everywhere: chance
  regions = np.repeat(quarter(), 3, 0)
  found = inside.share_inside(relevance, regions)
  assert found[:2] == pytest.approx([0.75, 0.25])
  assert np.isnan(found[2])  # an empty map has no share
  assert inside.area(regions) == pytest.approx(0.25)


def test_a_pixel_half_covered_counts_half():
  relevance = np.zeros((1, 2, 2))
  relevance[0, 0] = [3, 1]
  region = np.array([[[0.5, 1.0], [0.0, 0.0]]])
  assert inside.share_inside(relevance, region) == pytest.approx((3 * 0.5 + 1) / 4)


def test_pointing_game_with_tolerance_and_its_chance():
  relevance = np.zeros((1, 20, 20))
  relevance[0, 5, 11] = 1  # two columns right of the region
  mask = np.zeros((1, 20, 20), bool)
  mask[0, 2:10, 2:10] = True
  assert inside.pointing_game(relevance, mask, 0.0)[0] == 0
  assert inside.pointing_game(relevance, mask, 0.05)[0] == 0
  hits, chance = inside.pointing_game(relevance, mask, 0.1)
  assert hits == 1
  rows, columns = np.mgrid[:20, :20]
  # Brute force: every pixel that is within 2 px of a pixel of the region.
  near = sum(
    np.hypot(rows - r, columns - c) <= 2 for r, c in zip(*np.nonzero(mask[0]), strict=True)
  )
  assert chance == pytest.approx((near > 0).mean())


def test_tied_peaks_share_the_hit_and_a_flat_map_has_none():
  relevance = np.zeros((2, 8, 8))
  relevance[0, 0, 0] = relevance[0, 7, 7] = relevance[0, 7, 0] = relevance[0, 0, 7] = 1
  hits, chance = inside.pointing_game(relevance, np.repeat(quarter(), 2, 0), 0.0)
  assert hits[0] == 0.25
  assert np.isnan(hits[1])
  assert chance == pytest.approx(0.25)


def test_without_a_region_nothing_is_hit():
  hits, chance = inside.pointing_game(
    np.random.default_rng(0).random((1, 8, 8)), np.zeros((1, 8, 8))
  )
  assert (hits, chance) == (0, 0)
