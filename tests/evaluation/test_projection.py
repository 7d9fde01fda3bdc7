"""Which rows a map shows, and that neighbours stay neighbours."""

from __future__ import annotations

import numpy as np
import threadpoolctl

from lesionjax.evaluation import projection


def test_every_class_gets_as_many_rows_and_real_ones_first():
  labels = np.array([0] * 100 + [1] * 4 + [2] * 30 + [1] * 96 + [2] * 70)
  added = np.arange(300) >= 134
  rows = projection.choose_rows(labels, added, 60)
  assert (np.diff(rows) > 0).all()
  counts = {(k, bool(flag)): int((added[rows][labels[rows] == k] == flag).sum())
            for k in range(3) for flag in (0, 1)}  # fmt: skip
  # 20 a class: nothing was added to 0; all four of 1; of 2 half.
  assert counts == {
    (0, False): 20, (0, True): 0, (1, False): 4, (1, True): 16, (2, False): 10, (2, True): 10,
  }  # fmt: skip
  assert {0, 99, 100, 103, 104, 133, 134, 299} <= {*rows.tolist()}


def test_few_rows_are_all_shown():
  labels, added = np.array([0, 0, 1, 1]), np.array([False, False, False, True])
  assert projection.choose_rows(labels, added, 100).tolist() == [0, 1, 2, 3]
  assert projection.spread(np.array([5, 7, 9]), 2).tolist() == [5, 9]
  assert projection.spread(np.array([], np.int64), 2).tolist() == []


def test_groups_stay_apart_on_any_number_of_cores():
  rng = np.random.default_rng(0)
  group = np.repeat([0, 1, 2], 20)
  features = (rng.normal(size=(60, 8)) + 20 * np.eye(3, 8)[group]).astype(np.float32)
  first = projection.project(features, 1)
  assert (first.shape, first.dtype) == ((60, 2), np.float32)
  distance = np.linalg.norm(first[:, None] - first[None], axis=2) + 1e9 * np.eye(60)
  assert (group[distance.argmin(1)] == group).all()
  with threadpoolctl.threadpool_limits(2):
    np.testing.assert_array_equal(projection.project(features, 1), first)
