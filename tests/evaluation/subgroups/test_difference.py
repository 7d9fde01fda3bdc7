"""The permutation test against all permutations, Holm by hand, and the largest gap."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lesionjax.evaluation.calibration.resampling import Groups
from lesionjax.evaluation.subgroups.difference import holm, largest_gap, permutation_p


def chi_square(values, labels):
  """Pearson's, of a table of 0 and 1 by label."""
  total = 0.0
  for label in set(labels):
    mine = [v for v, own in zip(values, labels, strict=True) if own == label]
    for kind in (0, 1):
      expected = len(mine) * list(values).count(kind) / len(values)
      total += (mine.count(kind) - expected) ** 2 / expected
  return total


def test_every_permutation_gives_the_same_p():
  values, labels = [1, 1, 1, 1, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1, 1, 2]
  seen = chi_square(values, labels)
  every = [chi_square(values, order) >= seen - 1e-9 for order in itertools.permutations(labels)]
  exact = np.mean(every)
  p = permutation_p(np.array(values), np.array(labels), np.arange(9), 20000, seed=0)
  assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20000))


def test_two_groups_agree_with_fishers_hypergeometric_sum():
  # 8 of 10 found in one group, 3 of 10 in the other: P(at least as far from equal), both sides.
  from math import comb

  chance = {k: comb(10, k) * comb(10, 11 - k) / comb(20, 11) for k in range(1, 11)}
  exact = sum(p for k, p in chance.items() if abs(k - 5.5) >= 2.5)
  values = np.array([1] * 8 + [0] * 2 + [1] * 3 + [0] * 7)
  labels = np.repeat([0, 1], 10)
  p = permutation_p(values, labels, np.arange(20), 20000, seed=3)
  assert p == pytest.approx(exact, abs=0.006)


def test_images_of_one_lesion_are_not_independent():
  # Two lesions a group, ten images each: 20 against 20 images prove nothing.
  values = np.repeat([1, 1, 0, 0], 10)
  labels, groups = np.repeat([0, 0, 1, 1], 10), np.repeat(np.arange(4), 10)
  p = permutation_p(values, labels, groups, 2000, seed=0)
  assert p == pytest.approx(1 / 3, abs=0.04)  # 2 of 6 ways
  assert permutation_p(values, labels, np.arange(40), 2000, seed=0) == pytest.approx(1 / 2001)


def test_p_is_uniform_where_nothing_differs():
  rng = np.random.default_rng(0)
  found = []
  for seed in range(200):
    groups = np.repeat(np.arange(40), rng.integers(1, 4, 40))
    labels = rng.integers(3, size=40)[groups]
    values = rng.random(40)[groups] < rng.random(len(groups))
    found.append(permutation_p(values, labels, groups, 99, seed))
  assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=0.07)
  assert np.mean(found) == pytest.approx(0.5, abs=0.07)
  assert permutation_p(np.ones(5), np.zeros(5, int), np.arange(5), 10, 0) == 1


def test_holm_by_hand():
  assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
  assert holm([0.9, 0.6]) == [1.0, 1.0]
  assert holm([]) == []


def test_the_largest_gap_and_its_interval():
  rng = np.random.default_rng(1)
  labels = np.repeat([0, 1, 2], [300, 200, 100])
  values = rng.random(600) < np.array([0.5, 0.9, 0.6])[labels]
  gap, high, low = largest_gap(values, labels, Groups.of(np.arange(600), 500))
  assert (high, low) == (1, 0)
  first, second = values[labels == 0], values[labels == 1]
  assert gap['value'] == pytest.approx(second.mean() - first.mean())
  error = np.sqrt(first.var() / 300 + second.var() / 200)
  assert gap['high'] - gap['low'] == pytest.approx(2 * 1.96 * error, rel=0.15)
