"""Novelty scores and their measures against scikit-learn and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as oracle
from sklearn.covariance import LedoitWolf

from lesionjax.evaluation.calibration import novelty
from lesionjax.evaluation.calibration.resampling import Groups


def _scores(rng, known=200, unknown=60):
  # Rounded, so that there are ties.
  scores = np.concatenate([rng.normal(size=known), rng.normal(1.0, size=unknown)]).round(1)
  return scores, np.arange(known + unknown) >= known


def _brute_rate(scores, unknown):
  """Share of unknown accepted at the lowest accepting score that takes 95 % of the known in."""
  known = scores[~unknown]
  levels = [level for level in np.unique(scores) if (known <= level).mean() >= 0.95 - 1e-9]
  return (scores[unknown] <= min(levels)).mean()


def test_auroc_and_rate_against_scikit_learn_and_brute_force():
  for seed in range(10):
    scores, unknown = _scores(np.random.default_rng(seed))
    found = novelty.measure(scores, unknown, Groups.of(np.arange(260), 10))
    assert found['auroc']['value'] == pytest.approx(oracle.roc_auc_score(unknown, scores))
    assert found['fpr_at_95']['value'] == pytest.approx(_brute_rate(scores, unknown))
    assert found['auroc']['n'] == 60


def test_resamples_are_the_measures_of_the_repeated_images():
  scores, unknown = _scores(np.random.default_rng(0), 60, 20)
  drawn = Groups.of(np.arange(80) // 2, 5)
  for number in range(1, 6):  # each in the place of the sample itself
    rows = np.repeat(np.arange(80), drawn.weights[number][drawn.index])
    found = novelty.measure(scores, unknown, Groups(drawn.index, drawn.weights[[number, 0, 1]]))
    expected = oracle.roc_auc_score(unknown[rows], scores[rows])
    assert found['auroc']['value'] == pytest.approx(expected)
    assert found['fpr_at_95']['value'] == pytest.approx(_brute_rate(scores[rows], unknown[rows]))


def test_energy_and_softmax_by_hand():
  logits = np.array([[1.0, 2.0, 3.0], [1000.0, 0.0, 0.0]])
  expected = [-np.log(np.exp([1, 2, 3]).sum()), -1000.0]
  np.testing.assert_allclose(novelty.energy(logits), expected)
  expected = [1 - np.exp(3) / np.exp([1, 2, 3]).sum(), 0.0]
  np.testing.assert_allclose(novelty.max_softmax(logits), expected, atol=1e-12)


def test_distance_is_mahalanobis_to_the_nearest_class():
  rng = np.random.default_rng(1)
  labels = np.arange(90) % 3
  features = rng.normal(size=(90, 4)) @ rng.normal(size=(4, 4)) + 3 * np.eye(3, 4)[labels]
  means = np.stack([features[labels == k].mean(0) for k in range(3)])
  shrunk = LedoitWolf(assume_centered=True).fit(features - means[labels])
  new = rng.normal(size=(10, 4))
  expected = [min((row - mean) @ shrunk.precision_ @ (row - mean) for mean in means) for row in new]
  found = novelty.Distance.fit(features, labels).score(new)
  np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_distance_with_fewer_images_than_features_and_constant_ones_is_finite():
  rng = np.random.default_rng(2)
  features = np.concatenate([rng.normal(size=(12, 30)), np.zeros((12, 5))], axis=1)
  fitted = novelty.Distance.fit(features, np.arange(12) % 2)
  assert np.isfinite(fitted.score(rng.normal(size=(4, 35)))).all()
  fitted = novelty.Distance.fit(np.ones((12, 5)), np.arange(12) % 2)
  assert np.isfinite(fitted.score(np.full((3, 5), 2.0))).all()


def test_distant_features_are_told_from_known_ones():
  rng = np.random.default_rng(3)
  labels = np.arange(200) % 2
  fitted = novelty.Distance.fit(rng.normal(size=(200, 8)) + 6 * labels[:, None], labels)
  known = fitted.score(rng.normal(size=(100, 8)) + 6 * labels[:100, None])
  unknown = fitted.score(rng.normal(size=(50, 8)) + np.where(np.arange(8) % 2, 12, -12))
  scores, flags = np.concatenate([known, unknown]), np.arange(150) >= 100
  found = novelty.measure(scores, flags, Groups.of(np.arange(150), 10))
  assert found['auroc']['value'] == 1.0
  assert found['auroc']['low'] < 1.0  # Wilson: fifty images cannot prove it
  assert found['fpr_at_95']['value'] == 0.0


def test_constant_scores_guess_and_one_kind_alone_is_undefined():
  drawn = Groups.of(np.arange(40), 10)
  found = novelty.measure(np.zeros(40), np.arange(40) >= 30, drawn)
  assert found['auroc']['value'] == 0.5
  assert found['fpr_at_95']['value'] == 1.0
  for unknown in (np.zeros(40, bool), np.ones(40, bool)):
    found = novelty.measure(np.arange(40.0), unknown, drawn)
    assert found['auroc']['value'] is None
    assert found['fpr_at_95']['value'] is None
