"""FID against the closed form of Gaussians, KID against its definition written as loops."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from lesionjax.evaluation.generation import distances, fid, fid_interval, kid, kid_interval


def with_moments(rng, count, mean, covariance):
  """Rows whose sample mean and covariance are exactly those."""
  rows = rng.normal(size=(count, len(mean)))
  rows -= rows.mean(0)
  rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T
  return rows @ np.linalg.cholesky(covariance).T + mean


def test_fid_of_gaussians_with_one_covariance_is_the_squared_shift():
  rng = np.random.default_rng(0)
  rows = rng.normal(size=(50, 4))
  assert fid(rows, rows) == pytest.approx(0, abs=1e-9)
  assert fid(rows, rows + np.array([1, 2, 0, -2])) == pytest.approx(9)


def test_fid_of_diagonal_gaussians_by_hand():
  rng = np.random.default_rng(1)
  a = with_moments(rng, 60, np.zeros(3), np.diag([1.0, 4.0, 9.0]))
  b = with_moments(rng, 90, np.array([1.0, 0, 0]), np.diag([4.0, 4.0, 1.0]))
  assert fid(a, b) == pytest.approx(1 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2)


@pytest.mark.parametrize('count', [200, 6])  # 6 images of 8 features: singular covariances
def test_fid_equals_the_root_of_the_product_of_covariances(count):
  rng = np.random.default_rng(2)
  a, b = rng.normal(size=(count, 8)), rng.normal(size=(count, 8)) @ rng.normal(size=(8, 8)) + 0.3
  cov_a, cov_b = np.cov(a.T), np.cov(b.T)
  root = scipy.linalg.sqrtm(scipy.linalg.sqrtm(cov_a) @ cov_b @ scipy.linalg.sqrtm(cov_a)).real
  shift = a.mean(0) - b.mean(0)
  expected = shift @ shift + np.trace(cov_a + cov_b - 2 * root)
  assert fid(a, b) == pytest.approx(expected, rel=1e-3)


def brute_force(a, b):
  def k(x, y):
    return (x @ y / len(x) + 1) ** 3

  n, m = len(a), len(b)
  first = sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
  second = sum(k(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
  return first + second - 2 * sum(k(x, y) for x in a for y in b) / (n * m)


def test_kid_is_the_unbiased_discrepancy():
  rng = np.random.default_rng(3)
  a, b = rng.normal(size=(9, 5)), rng.normal(size=(7, 5)) + 0.5
  assert kid(a, b) == pytest.approx(brute_force(a, b))


def test_kid_does_not_depend_on_how_many_rows_are_taken_at_once(monkeypatch):
  rng = np.random.default_rng(3)
  a, b = rng.normal(size=(9, 5)), rng.normal(size=(7, 5)) + 0.5
  monkeypatch.setattr(distances, '_ROWS', 4)
  assert kid(a, b) == pytest.approx(brute_force(a, b))


def test_kid_of_one_distribution_is_about_zero_and_of_two_is_not():
  rng = np.random.default_rng(4)
  a, b = rng.normal(size=(2, 400, 6))
  low, high = kid_interval(a, b, resamples=100)
  assert low < 0 < high
  assert low < kid(a, b) < high
  low, high = kid_interval(a, b + 1, resamples=100)
  assert 0 < low < kid(a, b + 1) < high
  assert kid_interval(a, b, resamples=100) == kid_interval(a, b, resamples=100)


def test_a_draw_of_kid_leaves_out_pairs_of_an_image_with_itself():
  rng = np.random.default_rng(5)
  a, b = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)) + 0.5
  of_a, of_b = np.array([[2.0, 0, 1, 1]]), np.array([[1.0, 1, 0, 3, 0]])
  rows_a, rows_b = [0, 0, 2, 3], [0, 1, 3, 3, 3]

  def mean(x, y, first, second, apart):
    kernel = [(x[i] @ y[j] / 3 + 1) ** 3 for i in first for j in second if not apart or i != j]
    return np.mean(kernel)

  expected = mean(a, a, rows_a, rows_a, True) + mean(b, b, rows_b, rows_b, True)
  expected -= 2 * mean(a, b, rows_a, rows_b, False)
  assert distances._discrepancies(a, b, of_a, of_b)[0] == pytest.approx(expected)


def test_kid_s_interval_holds_the_distance_of_the_populations():
  # Two populations of forty images each, of which all pairs are known.
  rng = np.random.default_rng(0)
  population = rng.normal(size=(40, 3)), rng.normal(size=(40, 3)) * 1.2 + 0.6

  def k(x, y):
    return ((x @ y.T / 3 + 1) ** 3).mean()

  a, b = population
  truth = k(a, a) + k(b, b) - 2 * k(a, b)
  held = 0
  for seed in range(60):
    drawn = [values[rng.integers(40, size=80)] for values in population]
    low, high = kid_interval(*drawn, resamples=100, seed=seed)
    held += low <= truth <= high
  assert held >= 50  # 57 are expected


def test_images_of_one_lesion_are_drawn_together():
  rng = np.random.default_rng(6)
  a, b = rng.normal(size=(60, 4)), rng.normal(size=(400, 4)) + 0.7
  lesions = np.arange(60)
  for interval in (kid_interval, fid_interval):
    once = np.diff(interval(a, b))
    twice = [np.tile(values, reps) for values, reps in ((a, (2, 1)), (lesions, 2))]
    together, apart = np.diff(interval(twice[0], b, twice[1])), np.diff(interval(twice[0], b))
    assert together == pytest.approx(once, rel=0.15)
    assert apart < 0.9 * once


def test_fid_s_interval_is_as_wide_as_it_varies():
  rng = np.random.default_rng(7)
  deviations = np.sqrt([1, 2, 0.5])
  shift = np.array([1.0, 0.0, 0.5])
  truth = shift @ shift + np.square(1 - deviations).sum()
  values, halves, held = [], [], 0
  for _ in range(150):
    a, b = rng.normal(size=(150, 3)), rng.normal(size=(120, 3)) * deviations + shift
    values.append(fid(a, b))
    low, high = fid_interval(a, b)
    halves.append((high - low) / 2)
    held += low <= truth <= high
  assert np.mean(halves) == pytest.approx(1.96 * np.std(values), rel=0.15)
  assert held >= 0.9 * 150


def test_fid_s_interval_of_fewer_images_than_features():
  rng = np.random.default_rng(8)
  a, b = rng.normal(size=(20, 30)), rng.normal(size=(25, 30)) + 0.5
  low, high = fid_interval(a, b)
  assert 0 < low < fid(a, b) < high
  assert fid_interval(a, a) == pytest.approx((0, 0), abs=1e-9)


def test_rows_are_images():
  with pytest.raises(ValueError, match='two images or more'):
    fid(np.zeros((1, 4)), np.zeros((5, 4)))
