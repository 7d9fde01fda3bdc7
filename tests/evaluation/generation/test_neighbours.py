"""Precision, recall and copies on points of a line, where every distance is seen."""

from __future__ import annotations

import numpy as np
import pytest

from lesionjax.evaluation.generation import memorised, precision_recall


def on_a_line(*places):
  return np.array(places, float)[:, None]


def test_precision_and_recall_by_hand():
  # Radii to the nearest neighbour: 1, 1, 2 (real); 1, 1 (generated).
  real, generated = on_a_line(0, 1, 3), on_a_line(4, 5)
  # 4 lies within 2 of 3, 5 too; of the real only 3 lies within 1 of 4.
  assert precision_recall(real, generated, 1) == (1.0, pytest.approx(1 / 3))
  assert precision_recall(real, on_a_line(40, 41), 1) == (0.0, 0.0)
  assert precision_recall(real, real, 2) == (1.0, 1.0)


def test_a_generator_of_one_image_is_precise_and_recalls_nothing():
  rng = np.random.default_rng(0)
  real = rng.normal(size=(300, 2))
  one = rng.normal(size=(300, 2)) * 0.01
  precision, recall = precision_recall(real, one)
  assert precision > 0.95
  assert recall < 0.05


def test_neighbours_must_be_there():
  with pytest.raises(ValueError, match='3 neighbours of 3 images'):
    precision_recall(on_a_line(0, 1, 2), on_a_line(0, 1, 2, 3), 3)


def test_copies_are_nearer_than_real_images_are():
  # Nearest among themselves: 1, 1, 2, 4, so the median is 1.5.
  train = on_a_line(0, 1, 3, 7)
  found = memorised(train, on_a_line(7.1, 5, 1.6), quantile=0.5)
  assert found.threshold == pytest.approx(1.5)
  assert found.flags.tolist() == [True, False, True]
  assert found.share == pytest.approx(2 / 3)
  assert found.nearest.tolist() == [3, 2, 1]
  np.testing.assert_allclose(found.distance, [0.1, 2, 0.6])


def test_two_pictures_of_a_lesion_do_not_set_the_threshold():
  train, lesions = on_a_line(0, 0.01, 5, 5.01), np.array(['a', 'a', 'b', 'b'])
  assert memorised(train, on_a_line(2), 0.5).threshold == pytest.approx(0.01)
  assert memorised(train, on_a_line(2), 0.5, lesions).threshold == pytest.approx(4.995, abs=0.01)


def test_a_thousand_rows_and_more():
  rng = np.random.default_rng(1)
  train = rng.normal(size=(1100, 3))
  found = memorised(train, train[1050:1060] + 1e-9)
  assert found.nearest.tolist() == list(range(1050, 1060))
  assert found.share == 1.0
