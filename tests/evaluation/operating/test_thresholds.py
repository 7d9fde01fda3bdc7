"""Thresholds against scikit-learn's curves, brute force and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from data_builders.errors import UserError
from lesionjax.evaluation import operating

HAM = ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')


def sample(count=300, seed=0, decimals=None):
  rng = np.random.default_rng(seed)
  truth = rng.random(count) < 0.25
  scores = 1 / (1 + np.exp(-rng.normal(size=count) - 1.5 * truth))
  return truth, scores if decimals is None else np.round(scores, decimals)


def test_counts_are_scikit_learns_roc_curve():
  truth, scores = sample(decimals=2)
  counts = operating.Counts.of(truth, scores)
  fpr, tpr, thresholds = sk.roc_curve(truth, scores, drop_intermediate=False)
  np.testing.assert_allclose(counts.tp / counts.positives, tpr)
  np.testing.assert_allclose(counts.fp / counts.negatives, fpr)
  np.testing.assert_array_equal(counts.thresholds[1:], thresholds[1:])
  assert counts.thresholds[0] > scores.max()


@pytest.mark.parametrize('decimals', [None, 1])
@pytest.mark.parametrize('seed', range(4))
def test_best_f1_is_that_of_the_precision_recall_curve(seed, decimals):
  truth, scores = sample(seed=seed, decimals=decimals)
  threshold = operating.fit(truth, scores, 10.0)['best_f1']
  precision, recall, candidates = sk.precision_recall_curve(truth, scores)
  with np.errstate(invalid='ignore'):
    f1 = np.nan_to_num(2 * precision * recall / (precision + recall))[:-1]
  assert sk.f1_score(truth, scores >= threshold) == pytest.approx(f1.max())
  assert threshold == candidates[np.isclose(f1, f1.max(), atol=1e-12)].max()


@pytest.mark.parametrize('seed', range(4))
def test_youden_and_fixed_rates_are_points_of_the_roc_curve(seed):
  truth, scores = sample(seed=seed, decimals=2)
  fitted = operating.fit(truth, scores, 10.0)
  fpr, tpr, thresholds = sk.roc_curve(truth, scores, drop_intermediate=False)
  best = np.flatnonzero(np.isclose(tpr - fpr, (tpr - fpr).max(), atol=1e-12))
  assert fitted['youden'] == thresholds[best].max()
  for percent in (80, 90, 95):
    reached = thresholds[tpr >= percent / 100 - 1e-12]
    assert fitted[f'sensitivity_{percent}'] == reached.max()
    specific = fpr <= 1 - percent / 100 + 1e-12
    called = scores >= fitted[f'specificity_{percent}']
    assert called[truth].mean() == pytest.approx(tpr[specific].max())
    assert (~called[~truth]).mean() >= percent / 100 - 1e-12


@pytest.mark.parametrize('ratio', [0.1, 1.0, 10.0, 500.0])
def test_cost_is_the_minimum_over_all_thresholds(ratio):
  truth, scores = sample(120, decimals=2)
  threshold = operating.fit(truth, scores, ratio)['cost']

  def cost(t):
    (_, false_alarms), (misses, _) = sk.confusion_matrix(truth, scores >= t, labels=[False, True])
    return false_alarms + ratio * misses

  assert cost(threshold) == min(cost(t) for t in [*scores, 2.0])


def test_by_hand():
  scores = np.array([0.9, 0.8, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1])
  truth = np.array([1, 1, 0, 0, 1, 0, 1, 0, 1, 0], bool)
  fitted = operating.fit(truth, scores, 3.0)
  # tp, fp at .9: 1, 0; .8: 2, 1; .6: 2, 2; .5: 3, 2; .4: 3, 3; .3: 4, 3; .2: 4, 4; .1: 5, 5
  assert fitted['sensitivity_80'] == 0.3
  assert fitted['sensitivity_90'] == fitted['sensitivity_95'] == 0.1
  assert fitted['specificity_80'] == 0.8  # one of five negatives
  assert fitted['specificity_90'] == 0.9
  assert fitted['best_f1'] == 0.3  # 8 / 12; at .1: 10 / 15, the same, but more are referred
  assert fitted['youden'] == 0.9  # 1/5, as at .8, .5 and .3
  assert fitted['cost'] == 0.1  # 5 false alarms; at .3: 3 + 3 * 1 = 6


def test_a_perfect_score_reaches_everything():
  truth = np.array([0, 0, 0, 1, 1], bool)
  fitted = operating.fit(truth, np.array([0.1, 0.2, 0.3, 0.7, 0.9]), 10.0)
  assert {fitted[name] for name in operating.POINTS} == {0.7}


def test_a_score_that_ranks_wrongly_refers_nobody_by_youden():
  truth = np.array([1, 1, 0, 0], bool)
  fitted = operating.fit(truth, np.array([0.1, 0.2, 0.7, 0.9]), 0.1)
  assert fitted['youden'] > 0.9
  assert fitted['cost'] > 0.9
  assert fitted['specificity_95'] > 0.9


@pytest.mark.parametrize(
  ('truth', 'scores', 'words'),
  [
    ([], [], 'There is no image in validation'),
    ([0, 0], [0.1, 0.2], 'None of the 2 images of validation is positive (mel)'),
    ([1, 1], [0.1, 0.2], 'None of the 2 images of validation is negative (not mel)'),
    ([0, 1, 1], [0.5] * 3, 'All 3 images of validation have the same score, 0.5'),
    ([0, 1], [0.1, 0.2], ''),
  ],
)
def test_what_cannot_be_fitted_is_told(truth, scores, words):
  told = operating.problem(np.array(truth, bool), np.array(scores), 'validation', 'mel')
  assert told.startswith(words)
  assert bool(told) == bool(words)


def test_malignant_is_the_sum_of_its_classes():
  positive = operating.positive_of('malignant', HAM)
  assert positive.classes == ('akiec', 'bcc', 'mel')
  assert (positive.unknown, positive.problem) == ((), '')
  probabilities = np.random.default_rng(0).dirichlet(np.ones(7), 5).astype(np.float32)
  np.testing.assert_allclose(positive.score(probabilities), probabilities[:, [0, 1, 4]].sum(1))
  np.testing.assert_array_equal(positive.truth(np.arange(7)), [1, 1, 0, 0, 1, 0, 0])
  assert operating.positive_of('malignant', ('benign', 'malignant')).indices == (1,)
  assert operating.positive_of('bcc', HAM).indices == (1,)


def test_positives_that_tell_nothing_apart_are_told():
  assert operating.positive_of('malignant', ('nv', 'df')).problem.startswith('None of the classes')
  every = operating.positive_of('malignant', ('mel', 'bcc'))
  assert every.problem.startswith('Each of the classes mel, bcc is malignant')
  assert operating.positive_of('malignant', ('other', 'mel')).unknown == ('other',)
  with pytest.raises(UserError, match=r"positive='melanom' is neither 'malignant' nor one of"):
    operating.positive_of('melanom', HAM)
