"""The cheap generator against the distribution that it claims."""

from __future__ import annotations

import jax
import numpy as np
from scipy import stats

from lesionjax.data.noise import gaussian_noise

SHAPE = (96, 80, 3)


def draw(seed: int) -> np.ndarray:
  return np.asarray(gaussian_noise(jax.random.key(seed), SHAPE))


def test_numbers_are_standard_normal():
  for seed in range(4):
    sample = draw(seed)
    assert sample.shape == SHAPE
    assert np.isfinite(sample).all()
    assert stats.kstest(sample.ravel(), 'norm').pvalue > 1e-3
    assert abs(stats.kurtosis(sample.ravel())) < 0.1


def test_neighbours_channels_and_images_are_uncorrelated():
  a, b = draw(0), draw(1)
  pairs = [(a, b), (a[1:], a[:-1]), (a[:, 1:], a[:, :-1]), (a[..., 0], a[..., 1])]
  for lag in (1, 2, 3, 64, 96, 256):
    pairs.append((a.ravel()[lag:], a.ravel()[:-lag]))
  for left, right in pairs:
    limit = 4 / np.sqrt(left.size)
    assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < limit
    # Magnitudes too: a poor hash hides its pattern in the squares.
    assert abs(np.corrcoef(left.ravel() ** 2, right.ravel() ** 2)[0, 1]) < limit


def test_no_pattern_shows_in_the_spectrum():
  power = np.abs(np.fft.rfft(draw(2).ravel())) ** 2 / np.prod(SHAPE)
  # Exponential with mean 1: the largest of 11,521 exceeds 20 once in 40,000 seeds.
  assert power[1:].max() < 20


def test_key_alone_decides():
  np.testing.assert_array_equal(draw(5), draw(5))
  assert (draw(5) != draw(6)).mean() > 0.999
