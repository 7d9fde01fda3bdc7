"""Paired comparisons against hand numbers, scipy and a bootstrap written plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from data_builders.errors import UserError
from lesionjax.evaluation import comparison, intervals

NAMES = ('other', 'mel')
METRICS = ('balanced_accuracy', 'macro_auc')


def sample(count=120, seed=0):
  rng = np.random.default_rng(seed)
  labels = np.tile([0, 0, 1], count // 3)
  groups = rng.integers(count // 2, size=count)
  hard = rng.normal(size=count)
  first, second = (
    probabilities(skill * (2 * labels - 1) + hard + 0.5 * rng.normal(size=count))
    for skill in (1.2, 0.5)
  )
  return labels, groups, first, second


def probabilities(logit):
  p = 1 / (1 + np.exp(-logit))
  return np.stack([1 - p, p], 1)


def test_the_difference_is_that_of_a_bootstrap_written_plainly():
  labels, groups, first, second = sample()
  one, other = (comparison.resample(labels, p, groups, NAMES, 60, 3) for p in (first, second))
  found = comparison.paired_differences(one, other, METRICS)

  def measure(p, rows):
    return np.array(
      [
        balanced_accuracy_score(labels[rows], p[rows].argmax(1)),
        roc_auc_score(labels[rows], p[rows, 1]),
      ]
    )

  everything = np.arange(len(labels))
  point = measure(first, everything) - measure(second, everything)
  names = np.unique(groups)
  drawn = []
  for weights in intervals.group_weights(len(names), 60, 3):
    rows = np.concatenate([np.flatnonzero(groups == name) for name in np.repeat(names, weights)])
    drawn.append(measure(first, rows) - measure(second, rows))
  low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
  for index, name in enumerate(METRICS):
    limits = [found[name][key] for key in ('value', 'low', 'high')]
    assert limits == pytest.approx([point[index], low[index], high[index]], abs=1e-12)
    assert found[name]['n'] == len(labels)


def test_pairs_are_known_better_than_the_two_numbers():
  labels, groups, first, second = sample(600)
  one, other = (comparison.resample(labels, p, groups, NAMES, 300) for p in (first, second))
  paired = comparison.paired_differences(one, other, METRICS)['macro_auc']
  unpaired = one.drawn['macro_auc'] - np.roll(other.drawn['macro_auc'], 1)
  low, high = np.quantile(unpaired, [0.025, 0.975])
  assert paired['high'] - paired['low'] < 0.9 * (high - low)
  assert comparison.verdict(paired) == 'better'
  reverse = comparison.paired_differences(other, one, METRICS)['macro_auc']
  assert comparison.verdict(reverse) == 'worse'
  assert (reverse['low'], reverse['high']) == pytest.approx((-paired['high'], -paired['low']))


def test_the_same_predictions_do_not_differ():
  labels, groups, first, _ = sample()
  one = comparison.resample(labels, first, groups, NAMES, 50)
  for entry in comparison.paired_differences(one, one, METRICS).values():
    assert (entry['value'], entry['low'], entry['high']) == (0, 0, 0)
    assert comparison.verdict(entry) == 'no difference shown'


def test_one_group_and_one_class_have_no_interval():
  labels, _, first, second = sample()
  alone = np.zeros(len(labels))
  one, other = (comparison.resample(labels, p, alone, NAMES, 20) for p in (first, second))
  entry = comparison.paired_differences(one, other, METRICS)['balanced_accuracy']
  assert entry['value'] > 0
  assert entry['low'] is entry['high'] is None
  assert comparison.verdict(entry) == 'no difference shown'
  rows = labels == 0  # no positive: no AUC
  one, other = (
    comparison.resample(labels[rows], p[rows], np.arange(rows.sum()), NAMES, 20)
    for p in (first, second)
  )
  entry = comparison.paired_differences(one, other, METRICS)['macro_auc']
  assert [entry[key] for key in ('value', 'low', 'high')] == [None] * 3


@pytest.mark.parametrize(
  ('low', 'high', 'words'),
  [
    (0.001, 0.2, 'better'),
    (-0.2, -0.001, 'worse'),
    (-0.1, 0.2, 'no difference shown'),
    (0.0, 0.2, 'no difference shown'),
    (-0.2, 0.0, 'no difference shown'),
    (None, None, 'no difference shown'),
  ],
)
def test_a_verdict_is_what_the_interval_excludes(low, high, words):
  assert comparison.verdict({'value': 0.1, 'low': low, 'high': high, 'n': 9}) == words


def test_other_draws_cannot_be_paired():
  labels, groups, first, second = sample()
  one = comparison.resample(labels, first, groups, NAMES, 20)
  other = comparison.resample(labels, second, groups, NAMES, 30)
  with pytest.raises(UserError, match=r'with 20 resamples, the other on 120 of .* with 30'):
    comparison.paired_differences(one, other, METRICS)
  with pytest.raises(UserError, match='one group id an image'):
    comparison.resample(labels, first, groups[1:], NAMES, 20)


def test_mcnemar_by_hand():
  # Only the first is right 1 time, only the second 5 times: 2 (1 + 6) / 2^6.
  first = np.array([1] + [0] * 5 + [1] * 4 + [0] * 3, bool)
  second = np.array([0] + [1] * 5 + [1] * 4 + [0] * 3, bool)
  assert comparison.mcnemar(first, second) == {'b': 1, 'c': 5, 'p': pytest.approx(14 / 64)}
  assert comparison.mcnemar(second, first) == {'b': 5, 'c': 1, 'p': pytest.approx(14 / 64)}
  assert comparison.mcnemar(first, first) == {'b': 0, 'c': 0, 'p': 1.0}


@pytest.mark.parametrize(('b', 'c'), [(0, 1), (0, 6), (7, 7), (12, 13), (30, 55), (400, 300)])
def test_mcnemar_is_the_exact_sum_and_near_the_approximation(b, c):
  first = np.r_[np.ones(b), np.zeros(c)].astype(bool)
  p = comparison.mcnemar(first, ~first)['p']
  total = sum(math.comb(b + c, k) for k in range(min(b, c) + 1))
  assert p == pytest.approx(min(1.0, 2 * total / 2 ** (b + c)), rel=1e-9)
  if b + c > 50:  # chi-square with continuity correction
    assert p == pytest.approx(stats.chi2.sf((abs(b - c) - 1) ** 2 / (b + c), 1), rel=0.15)


def test_mcnemar_takes_the_same_images():
  with pytest.raises(UserError, match='on 2 images, the other on 3'):
    comparison.mcnemar(np.ones(2, bool), np.ones(3, bool))


def make_resampled(point: float, drawn: np.ndarray) -> comparison.Resampled:
  return comparison.Resampled({'m': point}, {'m': drawn}, groups=9, images=12)


def test_seeds_are_averaged_and_drawn():
  """Runs that differ by constants: a mean of S draws of them has the variance var / S."""
  values = np.array([0.1, 0.4, 0.7])
  runs = [make_resampled(value, np.full(20_000, value)) for value in values]
  both = comparison.over_seeds(runs)
  assert both.point['m'] == pytest.approx(0.4)
  assert both.drawn['m'].mean() == pytest.approx(0.4, abs=0.005)
  assert both.drawn['m'].var() == pytest.approx(values.var() / 3, rel=0.03)


def test_pairs_of_seeds_stay_pairs():
  """What one run gains over the other is the same with every seed: no interval is left."""
  noise = np.random.default_rng(0).normal(size=(3, 500))
  ours = comparison.over_seeds([make_resampled(x.mean(), x) for x in noise])
  theirs = comparison.over_seeds([make_resampled(x.mean() + 0.2, x + 0.2) for x in noise])
  found = comparison.paired_differences(theirs, ours, ['m'])['m']
  assert [found[key] for key in ('value', 'low', 'high')] == pytest.approx([0.2] * 3)


def test_one_seed_is_that_run_and_others_must_be_drawn_alike():
  run = make_resampled(0.5, np.linspace(0, 1, 50))
  assert comparison.over_seeds([run]) is run
  with pytest.raises(UserError, match='with 50 resamples, the other on 12 of 9 with 40'):
    comparison.over_seeds([run, make_resampled(0.5, np.zeros(40))])
