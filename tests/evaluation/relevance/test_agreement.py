"""Similarity of maps against scikit-learn's neighbours: SciPy, and the formula by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats

from lesionjax.evaluation.relevance import agreement


@pytest.fixture
def pairs():
  rng = np.random.default_rng(0)
  first, noise = rng.random((6, 24, 30)), rng.random((6, 24, 30))
  first[1] = np.round(first[1], 1)  # ties
  return first, 0.5 * first + 0.5 * noise


def test_rank_correlation_is_scipys(pairs):
  want = [stats.spearmanr(a.ravel(), b.ravel())[0] for a, b in zip(*pairs, strict=True)]
  assert agreement.rank_correlation(*pairs) == pytest.approx(want, abs=1e-12)


def test_a_map_without_differences_has_no_rank_correlation(pairs):
  assert np.isnan(agreement.rank_correlation(np.ones((1, 8, 8)), pairs[0][:1, :8, :8]))


def test_ssim_is_the_formula(pairs):
  x, y = (each[0] for each in pairs)

  def local(values):
    return ndimage.gaussian_filter(values, 1.5, mode='reflect', truncate=5 / 1.5)

  mx, my = local(x), local(y)
  vx, vy, both = local(x * x) - mx**2, local(y * y) - my**2, local(x * y) - mx * my
  c1, c2 = 0.0001, 0.0009
  want = ((2 * mx * my + c1) * (2 * both + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
  assert agreement.ssim(*pairs)[0] == pytest.approx(want.mean(), abs=1e-9)


def test_equal_maps_are_1_and_unrelated_ones_near_0(pairs):
  first, _ = pairs
  assert agreement.ssim(first, first) == pytest.approx(1)
  assert agreement.rank_correlation(first, first) == pytest.approx(1)
  other = np.random.default_rng(9).random(first.shape)
  assert np.abs(agreement.ssim(first, other)).max() < 0.15
  assert np.abs(agreement.rank_correlation(first, other)).max() < 0.15
