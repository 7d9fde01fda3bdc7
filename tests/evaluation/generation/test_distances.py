"""FID against the closed form of Gaussians, KID against its definition written as loops."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from lesionjax.evaluation.generation import fid, kid


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
  found = kid(a, b)
  assert found.value == pytest.approx(brute_force(a, b))
  assert np.isnan(found.error)


def test_kid_of_one_distribution_is_about_zero_and_of_two_is_not():
  rng = np.random.default_rng(4)
  a, b = rng.normal(size=(2, 400, 6))
  same, other = kid(a, b, subset_size=100), kid(a, b + 1, subset_size=100)
  assert abs(same.value) < 4 * same.error
  assert other.value > 20 * other.error
  assert kid(a, b, subset_size=100) == same


def test_rows_are_images():
  with pytest.raises(ValueError, match='two images or more'):
    fid(np.zeros((1, 4)), np.zeros((5, 4)))
