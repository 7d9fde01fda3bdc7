"""Colour statistics against NumPy, and the boosted baseline on toy data."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lesionjax.evaluation import colour_baseline, colour_statistics


def test_statistics_are_those_of_numpy():
  image = np.random.default_rng(0).integers(0, 256, (37, 53, 3)).astype(np.uint8)
  ours = colour_statistics(image).reshape(3, 5)
  pixels = image.reshape(-1, 3).astype(np.float64)
  np.testing.assert_allclose(ours[:, 0], pixels.mean(0), rtol=1e-6)
  np.testing.assert_allclose(ours[:, 1], pixels.std(0), rtol=1e-6)
  wanted = np.percentile(pixels, [5, 50, 95], axis=0, method='inverted_cdf').T
  np.testing.assert_array_equal(ours[:, 2:], wanted)
  assert ours.dtype == np.float32


def test_a_flat_image_has_no_spread():
  image = np.broadcast_to(np.array([10, 20, 255], np.uint8), (8, 8, 3))
  wanted = [[10, 0, 10, 10, 10], [20, 0, 20, 20, 20], [255, 0, 255, 255, 255]]
  np.testing.assert_array_equal(colour_statistics(image).reshape(3, 5), wanted)


def test_statistics_are_blind_to_where_pixels_lie():
  image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
  np.testing.assert_array_equal(colour_statistics(image), colour_statistics(image[::-1, ::-1]))


def test_baseline_learns_is_deterministic_and_aligns_missing_classes():
  rng = np.random.default_rng(0)
  labels = rng.choice([0, 2, 3], size=400)
  features = rng.normal(size=(400, 15)) + labels[:, None]
  ours = colour_baseline(features[:300], labels[:300], features[300:], num_classes=5)
  assert ours.shape == (100, 5)
  np.testing.assert_allclose(ours.sum(1), 1)
  np.testing.assert_array_equal(ours[:, [1, 4]], 0)
  assert roc_auc_score(labels[300:] == 3, ours[:, 3]) > 0.9
  again = colour_baseline(features[:300], labels[:300], features[300:], num_classes=5)
  np.testing.assert_array_equal(ours, again)


@pytest.mark.parametrize('only', [0, 2])
def test_a_training_set_of_one_class_is_answered_with_that_class(only):
  ours = colour_baseline(np.zeros((4, 15)), np.full(4, only), np.zeros((3, 15)), num_classes=3)
  np.testing.assert_array_equal(ours, np.tile(np.eye(3)[only], (3, 1)))
