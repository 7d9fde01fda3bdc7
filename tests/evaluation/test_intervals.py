"""The bootstrap against a naive loop, its coverage, and what it does where it degenerates."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.evaluation import evaluate, point_metrics
from lesionjax.evaluation.intervals import group_weights, wilson

_NAMES = ('bkl', 'mel', 'nv')


def predictions(count=120, groups=50, seed=0):
  rng = np.random.default_rng(seed)
  labels = rng.choice(3, p=[0.2, 0.2, 0.6], size=count)
  probabilities = rng.dirichlet(np.ones(3), count) * 0.6 + 0.4 * np.eye(3)[labels]
  return labels, probabilities, rng.integers(groups, size=count).astype(str)


def test_intervals_are_percentiles_of_explicitly_resampled_groups():
  labels, probabilities, groups = predictions()
  ours = evaluate(labels, probabilities, groups, _NAMES, resamples=60, seed=5)
  names, index = np.unique(groups, return_inverse=True)
  naive = []
  for row in group_weights(len(names), 60, 5):
    rows = np.repeat(np.arange(len(labels)), row[index])
    naive.append(point_metrics(labels[rows], probabilities[rows], _NAMES))
  point = point_metrics(labels, probabilities, _NAMES)
  for name, entry in ours.items():
    assert entry['value'] == pytest.approx(point[name], abs=1e-12), name
    if name.split('/')[0] in ('support', 'majority_accuracy'):
      continue
    low, high = np.quantile([sample[name] for sample in naive], [0.025, 0.975])
    assert entry['low'] == pytest.approx(low, abs=1e-9), name
    assert entry['high'] == pytest.approx(high, abs=1e-9), name


def test_weights_draw_whole_groups_with_replacement():
  weights = group_weights(40, 500, seed=1)
  np.testing.assert_array_equal(weights.sum(1), 40)
  # The number of draws of one group is binomial(40, 1/40): mean 1, variance 39/40.
  assert weights.mean(0) == pytest.approx(np.ones(40), abs=0.2)
  assert weights.var() == pytest.approx(39 / 40, abs=0.05)
  np.testing.assert_array_equal(weights, group_weights(40, 500, seed=1))
  assert (weights != group_weights(40, 500, seed=2)).any()


def test_the_interval_covers_the_truth_although_images_of_a_lesion_agree():
  # All five images of a lesion are right or wrong together: image-level resampling would be
  # sqrt(5) times too narrow and cover only about 60 %.
  rng = np.random.default_rng(0)
  truth, lesions, per_lesion = 0.7, 60, 5
  covered = {'groups': 0, 'images': 0}
  for trial in range(150):
    right = np.repeat(rng.random(lesions) < truth, per_lesion)
    labels = np.tile([0, 1], lesions * per_lesion)[: len(right)]
    probabilities = np.eye(2)[np.where(right, labels, 1 - labels)] * 0.8 + 0.1
    ids = {'groups': np.repeat(np.arange(lesions), per_lesion), 'images': np.arange(len(right))}
    for unit, groups in ids.items():
      entry = evaluate(labels, probabilities, groups, ('a', 'b'), resamples=200, seed=trial)
      covered[unit] += entry['accuracy']['low'] <= truth <= entry['accuracy']['high']
  assert covered['groups'] / 150 == pytest.approx(0.95, abs=0.05)
  assert covered['images'] / 150 < 0.8


def test_wilson_is_the_textbook_interval():
  # 8 of 10: Wilson 95 % interval 0.4901625 to 0.9433178 (e.g. statsmodels proportion_confint).
  assert wilson(0.8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
  assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775328), abs=1e-6)
  low, high = wilson(1.0, 10)
  assert (low, high) == (pytest.approx(0.7224672, abs=1e-6), 1.0)


def test_degenerate_rates_get_wilson_with_the_number_of_lesions():
  labels = np.repeat([0, 1, 2], 20)
  probabilities = np.eye(3)[labels] * 0.7 + 0.1
  groups = np.arange(60) // 2  # two images a lesion: ten lesions a class
  entry = evaluate(labels, probabilities, groups, _NAMES, resamples=50)
  assert entry['recall/mel'] == {'value': 1.0, 'low': wilson(1.0, 10)[0], 'high': 1.0, 'n': 20}
  assert entry['accuracy']['low'] == wilson(1.0, 30)[0]
  assert entry['balanced_accuracy']['low'] == wilson(1.0, 10)[0]
  assert entry['macro_auc']['low'] < 1


def test_a_single_group_does_not_pretend_to_be_certain():
  labels, probabilities, _ = predictions(20)
  entry = evaluate(labels, probabilities, np.zeros(20), _NAMES, resamples=20)
  assert entry['accuracy']['high'] - entry['accuracy']['low'] > 0.5


def test_n_is_the_number_of_images_a_metric_rests_on():
  labels, probabilities, groups = predictions()
  entry = evaluate(labels, probabilities, groups, _NAMES, resamples=20)
  support, called = np.bincount(labels), np.bincount(probabilities.argmax(1))
  assert entry['accuracy']['n'] == entry['macro_auc']['n'] == entry['balanced_accuracy']['n'] == 120
  for c, name in enumerate(_NAMES):
    assert entry[f'recall/{name}']['n'] == entry[f'auc/{name}']['n'] == support[c]
    assert entry[f'precision/{name}']['n'] == called[c]
    wanted = {'value': support[c], 'low': support[c], 'high': support[c], 'n': support[c]}
    assert entry[f'support/{name}'] == wanted


def test_binary_n_is_the_support_of_the_class_asked_about():
  labels = np.array([0] * 30 + [1] * 7)
  probabilities = np.random.default_rng(0).dirichlet(np.ones(2), 37)
  entry = evaluate(labels, probabilities, np.arange(37), ('benign', 'malignant'), resamples=20)
  assert (entry['sensitivity']['n'], entry['specificity']['n']) == (7, 30)
  assert entry['sensitivity'] == entry['recall/malignant']


def test_undefined_is_null_and_the_result_is_valid_json():
  labels, probabilities, groups = predictions()
  labels[labels == 1] = 0
  entry = evaluate(labels, probabilities, groups, _NAMES, resamples=20)
  assert entry['recall/mel'] == {'value': None, 'low': None, 'high': None, 'n': 0}
  json.dumps(entry, allow_nan=False)


def test_a_class_of_one_lesion_has_a_value_and_keeps_to_the_resamples_that_hold_it():
  labels, probabilities, groups = predictions()
  labels[labels == 1] = 0
  labels[7] = 1
  groups[7] = 'alone'
  entry = evaluate(labels, probabilities, groups, _NAMES, resamples=200)
  assert entry['auc/mel']['n'] == 1
  assert entry['auc/mel']['low'] <= entry['auc/mel']['value'] <= entry['auc/mel']['high']
  assert entry['recall/mel']['high'] - entry['recall/mel']['low'] > 0.5  # Wilson with n = 1


def test_groups_of_another_length_are_told():
  labels, probabilities, groups = predictions()
  with pytest.raises(UserError, match='one group id an image'):
    evaluate(labels, probabilities, groups[:-1], _NAMES)
