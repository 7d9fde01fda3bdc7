"""Rates of a subgroup against counts by hand, scikit-learn and brute force."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lesionjax.evaluation.calibration.resampling import Groups
from lesionjax.evaluation.subgroups import attributes, rates
from lesionjax.evaluation.subgroups.rates import Scored, measure


def sample(images=200, groups=120, seed=0):
  rng = np.random.default_rng(seed)
  owner = np.concatenate([np.arange(groups), rng.integers(groups, size=images - groups)])
  positive = rng.random(groups)[owner] < 0.3
  score = np.clip(rng.beta(2, 4, images) + 0.3 * positive, 0, 1).round(2)
  return Scored(positive, score, 0.4, Groups.of(owner, 300))


def test_rates_are_counts_with_wilsons_interval_of_the_lesions():
  scored = sample()
  found = measure(scored)
  hits = sum(s >= 0.4 for s, p in zip(scored.score, scored.positive, strict=True) if p)
  positives = int(scored.positive.sum())
  lesions = len(set(scored.groups[scored.positive].tolist()))
  assert found['sensitivity']['value'] == pytest.approx(hits / positives)
  assert found['sensitivity']['n'] == positives
  # Wilson's limits are where the score test just does not refuse: |p - L| = z sqrt(L (1 - L) / n).
  for limit in (found['sensitivity']['low'], found['sensitivity']['high']):
    distance = abs(hits / positives - limit)
    assert distance == pytest.approx(1.959964 * math.sqrt(limit * (1 - limit) / lesions), rel=1e-5)
  missed = found['false_negative_rate']
  assert missed['value'] == pytest.approx(1 - hits / positives)
  assert missed['low'] == pytest.approx(1 - found['sensitivity']['high'])
  negatives = ~scored.positive
  assert found['specificity']['value'] == pytest.approx((scored.score[negatives] < 0.4).mean())
  assert found['auc']['value'] == pytest.approx(roc_auc_score(scored.positive, scored.score))
  assert found['auc']['low'] < found['auc']['value'] < found['auc']['high']


def test_calibration_is_the_mean_score_less_the_share_of_positives():
  scored = sample()
  found = measure(scored, bins=4)
  bias = scored.score.mean() - scored.positive.mean()
  assert found['calibration']['value'] == pytest.approx(bias)
  place = rates.calibration_bins(scored.score, 4)
  error = sum(
    abs((scored.score[place == b] - scored.positive[place == b]).sum()) for b in range(4)
  ) / len(scored.score)
  assert found['ece']['value'] == pytest.approx(error)
  assert np.bincount(place) == pytest.approx([50] * 4, abs=8)
  # One resample by hand.
  again = np.concatenate([np.repeat(np.flatnonzero(scored.groups == g), n)
                          for g, n in enumerate(scored.drawn.weights[1])])  # fmt: skip
  bias = scored.score[again].mean() - scored.positive[again].mean()
  one = dataclasses.replace(scored.drawn, weights=scored.drawn.weights[[0, 1, 1, 1]])
  found = measure(dataclasses.replace(scored, drawn=one))
  assert found['calibration']['low'] == pytest.approx(bias)


def test_a_perfect_score_is_calibrated_and_has_no_error():
  positive = np.arange(60) % 3 == 0
  scored = Scored(positive, positive.astype(float), 0.5, Groups.of(np.arange(60), 50))
  found = measure(scored)
  assert found['ece']['value'] == found['calibration']['value'] == 0
  assert found['auc']['value'] == found['auc']['high'] == 1
  assert 0.8 < found['auc']['low'] < 1  # not an interval of width 0


def test_too_few_lesions_give_no_number():
  positive = np.arange(40) < 12
  groups = np.where(positive, np.arange(40) // 2, np.arange(40))  # 12 positives of 6 lesions
  scored = Scored(positive, np.linspace(0, 1, 40), 0.5, Groups.of(groups, 50))
  found = measure(scored, min_count=7)
  assert found['sensitivity'] is found['false_negative_rate'] is found['auc'] is None
  assert found['specificity']['n'] == 28
  assert found['calibration'] is not None
  empty = scored.take(np.zeros(40, bool))
  assert not any(measure(empty).values())


def test_attributes_have_names_and_an_order():
  years = np.array([0, 29.9, 30, 45, 60, 75, 90, np.nan])
  assert attributes.age_bands(years).tolist() == [
    '0 to 29', '0 to 29', '30 to 44', '45 to 59', '60 to 74', '75 and older', '75 and older',
    'not recorded',
  ]  # fmt: skip
  bands = attributes.skin_bands(np.array([60, 55, 41, 28, 10, -30, np.nan]))
  assert bands.tolist() == [
    'very light', 'light', 'intermediate', 'tan', 'brown', 'dark', 'not recorded',
  ]  # fmt: skip
  assert attributes.order(bands, ('dark', 'tan', 'odd'))[:2] == ['dark', 'tan']
  assert attributes.order(bands)[-1] == 'not recorded'
  sites = attributes.named(np.array(['back', '', 'face', 'back']))
  assert attributes.order(sites) == ['back', 'face', 'not recorded']
