"""Risk-coverage curves and triage tables against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from lesionjax.evaluation.calibration import selective, temperature
from lesionjax.evaluation.calibration.resampling import Groups
from tests.evaluation.calibration.predictions import draw


def test_aurc_is_the_mean_risk_over_all_coverages():
  data = draw(150)
  probabilities = temperature.probabilities_of(data.logits)
  drawn = Groups.of(data.groups, 10)
  found = selective.risk_coverage(data.labels, probabilities, drawn)
  order = np.argsort(-probabilities.max(1))
  wrong = (probabilities.argmax(1) != data.labels)[order]
  risks = np.cumsum(wrong) / np.arange(1, 151)
  assert found['aurc']['value'] == pytest.approx(risks.mean())
  curve = {point['coverage']: point['risk'] for point in found['curve']}
  assert curve[0.5] == pytest.approx(risks[74])
  assert curve[1.0] == pytest.approx(wrong.mean())
  assert not found['reason']


def test_resampled_aurc_is_that_of_the_repeated_images_taken_in_together():
  data = draw(40, images=2, seed=1)
  probabilities = temperature.probabilities_of(data.logits)
  drawn = Groups.of(data.groups, 3)
  confidence, wrong = probabilities.max(1), probabilities.argmax(1) != data.labels
  for weights in drawn.weights:
    rows = np.repeat(np.arange(80), weights[drawn.index])
    alone = Groups(np.arange(len(rows)), np.ones((2, len(rows)), np.uint16))
    found = selective.risk_coverage(data.labels[rows], probabilities[rows], alone)['aurc']['value']
    area = 0.0
    for level in np.unique(confidence[rows]):
      taken = rows[confidence[rows] >= level]
      area += wrong[taken].mean() * (confidence[rows] == level).mean()
    assert found == pytest.approx(area)


def test_the_best_ranking_of_many_images_reaches_the_best_area():
  confidence = np.linspace(1, 0.6, 4000)
  probabilities = np.column_stack([confidence, 1 - confidence])
  labels = (np.arange(4000) >= 3000).astype(int)  # the least certain quarter is wrong
  found = selective.risk_coverage(labels, probabilities, Groups.of(np.arange(4000), 2))
  assert found['aurc']['value'] == pytest.approx(found['best']['value'], abs=1e-3)


def test_constant_confidence_has_the_error_rate_everywhere_and_says_so():
  labels = np.arange(40) % 4 == 0
  found = selective.risk_coverage(
    labels.astype(int), np.tile([0.7, 0.3], (40, 1)), Groups.of(np.arange(40), 10)
  )
  assert found['aurc']['value'] == pytest.approx(0.25)
  assert {point['risk'] for point in found['curve']} == {0.25}
  assert 'same confidence' in found['reason']


def test_triage_by_hand():
  scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
  positive = np.array([1, 0, 1, 0, 0, 1, 0, 0, 0, 1], bool)
  called = np.array([0, 0, 0, 0, 0, 1, 0, 0, 0, 0], bool)
  cuts = selective.cuts(scores, (0.0, 0.2, 0.5))
  assert cuts == [None, 0.8, 0.5]
  drawn = Groups.of(np.arange(10), 20)
  rows = selective.triage(scores, positive, called, cuts, drawn)
  assert [row['referred']['value'] for row in rows] == pytest.approx([0, 0.2, 0.5])
  assert [row['missed']['value'] for row in rows] == pytest.approx([3 / 4, 2 / 4, 1 / 4])
  decided = [row['missed_of_decided']['value'] for row in rows]
  assert decided == pytest.approx([3 / 4, 2 / 3, 1 / 2])
  rows = selective.triage(scores, positive, None, cuts, drawn)
  assert [row['missed']['value'] for row in rows] == pytest.approx([1, 3 / 4, 2 / 4])
  assert 'missed_of_decided' not in rows[0]


def test_triage_without_positives_and_with_constant_scores_has_no_nan():
  drawn = Groups.of(np.arange(6), 10)
  rows = selective.triage(np.full(6, 0.5), np.zeros(6, bool), None, [0.5], drawn)
  assert rows[0]['referred']['value'] == 1.0  # those of equal score go together
  assert rows[0]['missed'] == {'value': None, 'low': None, 'high': None, 'n': 0}
