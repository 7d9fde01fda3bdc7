"""Mean recalls against scikit-learn, and their draws against loops."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import recall_score

from lesionjax.evaluation.generation import mean_recall
from lesionjax.evaluation.intervals import group_weights


def scikit_learn_s(labels, predicted):
  return recall_score(labels, predicted, labels=np.unique(labels), average='macro')


def test_the_mean_over_classes_and_its_draws():
  rng = np.random.default_rng(0)
  labels = rng.integers(3, size=60) + 1  # a class of which there is no image
  predicted = np.where(rng.uniform(size=60) < 0.6, labels, rng.integers(4, size=60))
  groups = rng.integers(40, size=60).astype(str)
  value, drawn = mean_recall(labels, predicted, groups, resamples=20, seed=3)
  np.testing.assert_allclose(value, scikit_learn_s(labels, predicted))
  names, index = np.unique(groups, return_inverse=True)
  for weights, found in zip(group_weights(len(names), 20, 3), drawn, strict=True):
    rows = np.repeat(np.arange(60), weights[index])
    expected = scikit_learn_s(labels[rows], predicted[rows])
    np.testing.assert_allclose(found, expected)


def test_every_image_stands_for_itself_without_groups():
  labels = np.array([0, 0, 1, 1])
  value, drawn = mean_recall(labels, np.array([0, 1, 1, 1]), resamples=400)
  assert value == 0.75
  assert 0.7 < drawn.mean() < 0.8
  assert mean_recall(labels, labels, resamples=5)[1].tolist() == [1.0] * 5
