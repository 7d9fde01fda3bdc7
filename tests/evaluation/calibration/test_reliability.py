"""Calibration errors and Brier scores against hand numbers, brute force and scikit-learn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn import metrics as oracle

from lesionjax.evaluation.calibration import reliability, temperature
from lesionjax.evaluation.calibration.resampling import Groups, interval
from lesionjax.evaluation.intervals import wilson
from tests.evaluation.calibration.predictions import draw


def _one_each(count):
  return Groups.of(np.arange(count), resamples=20)


def _brute_force(scores, hits, count):
  """The definition, image by image; scores without ties."""
  order = sorted(range(len(scores)), key=lambda row: scores[row])
  edges = [round(b * len(order) / count) for b in range(count + 1)]
  total = 0.0
  for start, stop in itertools.pairwise(edges):
    rows = order[start:stop]
    total += abs(sum(float(hits[row]) - scores[row] for row in rows))
  return total / len(order)


def test_ece_by_hand():
  scores = np.array([0.9, 0.6, 0.8, 0.5])
  hits = np.array([True, False, True, True])
  # Bins (.5, .6) and (.8, .9): |.5 - .55| and |1 - .85|, each of half of the images.
  assert reliability.errors(scores, hits, 2, _one_each(4))[0] == pytest.approx((0.05 + 0.15) / 2)


@pytest.mark.parametrize(('images', 'count'), [(100, 10), (97, 15), (7, 15), (1, 3)])
def test_ece_against_brute_force(images, count):
  rng = np.random.default_rng(images)
  scores, hits = rng.random(images), rng.random(images) < 0.5
  found = reliability.errors(scores, hits, count, _one_each(images))[0]
  assert found == pytest.approx(_brute_force(scores, hits, count), abs=1e-12)


def test_resampled_ece_is_that_of_the_repeated_images_in_the_same_bins():
  data = draw(40, images=2, seed=1)
  probabilities = temperature.probabilities_of(data.logits)
  scores, hits = reliability.top_label(data.labels, probabilities)
  drawn = Groups.of(data.groups, resamples=5)
  found = reliability.errors(scores, hits, 4, drawn)
  bins = reliability.bins_of(scores, 4)
  for row, weights in enumerate(drawn.weights):
    rows = np.repeat(np.arange(80), weights[drawn.index])
    gaps = [
      abs((hits[r] * 1.0 - scores[r]).sum()) for b in range(4) for r in [rows[bins[rows] == b]]
    ]
    assert found[row] == pytest.approx(sum(gaps) / len(rows))


def test_equal_scores_share_a_bin():
  assert reliability.bins_of(np.full(50, 0.3), 10).tolist() == [0] * 50
  assert reliability.bins_of(np.array([0.1, 0.2, 0.2, 0.2, 0.2, 0.9]), 3).tolist() == [0] * 5 + [1]


def test_brier_and_log_loss_agree_with_scikit_learn():
  data = draw(300, seed=2)
  probabilities = temperature.probabilities_of(data.logits)
  losses = temperature.log_losses(data.logits, data.labels)
  values = reliability.measure(data.labels, probabilities, losses, _one_each(300), 10)
  truth = np.eye(3)[data.labels]
  expected = oracle.brier_score_loss(data.labels, probabilities, scale_by_half=False)
  assert values['brier']['value'] == pytest.approx(expected)
  assert values['log_loss']['value'] == pytest.approx(oracle.log_loss(truth, probabilities))
  positive = reliability.measure_positive(probabilities[:, 2], truth[:, 2] > 0, _one_each(300), 10)
  expected = oracle.brier_score_loss(truth[:, 2], probabilities[:, 2])
  assert positive['brier']['value'] == pytest.approx(expected)


def test_classwise_ece_is_the_mean_of_each_class_against_the_rest():
  data = draw(200, seed=3)
  probabilities = temperature.probabilities_of(data.logits)
  losses = temperature.log_losses(data.logits, data.labels)
  values = reliability.measure(data.labels, probabilities, losses, _one_each(200), 8)
  expected = [_brute_force(probabilities[:, k], data.labels == k, 8) for k in range(3)]
  assert values['classwise_ece']['value'] == pytest.approx(np.mean(expected))


def test_a_calibrated_classifier_stays_within_chance_and_a_sharpened_one_does_not():
  outside = 0
  for seed in range(20):
    data = draw(400, seed=seed)
    scores, hits = reliability.top_label(data.labels, temperature.probabilities_of(data.logits))
    drawn = _one_each(400)
    found, by_chance = (
      reliability.errors(scores, hits, 10, drawn)[0],
      reliability.chance(scores, drawn, 10),
    )
    outside += found > by_chance['high']
    sharp = temperature.probabilities_of(3 * data.logits)
    scores, hits = reliability.top_label(data.labels, sharp)
    found = reliability.errors(scores, hits, 10, drawn)[0]
    assert found > reliability.chance(scores, drawn, 10)['high']
  assert outside <= 3


def test_the_diagram_counts_every_image_once_with_intervals_over_lesions():
  data = draw(60, images=3, seed=4)
  probabilities = temperature.probabilities_of(data.logits)
  scores, hits = reliability.top_label(data.labels, probabilities)
  bins = reliability.diagram(scores, hits, data.groups, 5)
  assert sum(b['images'] for b in bins) == 180
  assert sum(b['groups'] for b in bins) == 60  # equal scores share a bin
  for each in bins:
    assert (each['low'], each['high']) == wilson(each['frequency'], each['groups'])


def test_a_constant_classifier_and_one_class_have_numbers():
  probabilities = np.full((30, 3), 1 / 3)
  labels = np.zeros(30, int)
  losses = temperature.log_losses(np.zeros((30, 3)), labels)
  values = reliability.measure(labels, probabilities, losses, _one_each(30), 15)
  assert values['ece']['value'] == pytest.approx(2 / 3)
  assert all(math.isfinite(v) for entry in values.values() for v in entry.values())


def test_an_interval_of_a_calibration_error_holds_it_and_is_not_shifted_by_chance():
  data = draw(500, seed=5)
  scores, hits = reliability.top_label(data.labels, temperature.probabilities_of(data.logits))
  drawn = Groups.of(data.groups, resamples=200)
  values = reliability.errors(scores, hits, 15, drawn)
  assert np.median(values[1:]) > values[0]  # chance upon chance
  found = interval(values, 500, basic=True)
  assert 0 <= found['low'] <= found['value'] <= found['high']
