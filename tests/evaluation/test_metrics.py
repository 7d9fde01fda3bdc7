"""Every metric against scikit-learn, on ties, absent classes and binary tasks."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from data_builders.errors import UserError
from lesionjax.evaluation import per_group, point_metrics
from lesionjax.evaluation.metrics import resampled_metrics

_NAMES = ('akiec', 'bcc', 'bkl', 'mel', 'nv')


def sklearn_metrics(labels, probabilities, names):
  """The oracle: the same table from scikit-learn, one sample at a time."""
  size = len(names)
  predicted = probabilities.argmax(1)
  present = np.unique(labels)
  values = {
    'accuracy': sk.accuracy_score(labels, predicted),
    'log_loss': sk.log_loss(labels, probabilities, labels=range(size)),
  }
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # scikit-learn warns about classes that are only predicted
    values['balanced_accuracy'] = sk.balanced_accuracy_score(labels, predicted)
  for average in ('macro', 'weighted'):
    scores = sk.precision_recall_fscore_support(
      labels, predicted, labels=present, average=average, zero_division=0
    )
    for name, score in zip(('precision', 'recall', 'f1'), scores, strict=False):
      values[f'{average}_{name}'] = score
  each = sk.precision_recall_fscore_support(
    labels, predicted, labels=range(size), zero_division=np.nan
  )
  for c, name in enumerate(names):
    for kind, score in zip(('precision', 'recall', 'f1', 'support'), each, strict=True):
      values[f'{kind}/{name}'] = score[c]
    truth, score = labels == c, probabilities[:, c]
    both = truth.any() and not truth.all()
    values[f'auc/{name}'] = sk.roc_auc_score(truth, score) if both else math.nan
    values[f'average_precision/{name}'] = (
      sk.average_precision_score(truth, score) if truth.any() else math.nan
    )
  for macro, kind in (('macro_auc', 'auc'), ('average_precision', 'average_precision')):
    scores = [values[f'{kind}/{name}'] for name in names]
    known = [score for score in scores if not math.isnan(score)]
    values[macro] = scores[1] if size == 2 else (np.mean(known) if known else math.nan)
  if size == 2:
    values['specificity'], values['sensitivity'] = (values[f'recall/{name}'] for name in names)
  return values


def assert_same(ours, theirs, tolerance=1e-9):
  missing = set(theirs) - set(ours)
  assert not missing
  for name, value in theirs.items():
    # f1 of a class that is absent but predicted is 0 in both; nan must meet nan.
    assert ours[name] == pytest.approx(value, abs=tolerance, nan_ok=True), name


def sample(count, size, seed=0, decimals=None, absent=()):
  rng = np.random.default_rng(seed)
  labels = rng.choice([c for c in range(size) if c not in absent], size=count)
  logits = rng.normal(size=(count, size)) + 1.5 * np.eye(size)[labels]
  probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  if decimals is not None:  # few distinct scores: ties everywhere, rows still sum to one
    probabilities = np.round(probabilities, decimals)
    probabilities[:, 0] = 1 - probabilities[:, 1:].sum(1)
    probabilities = np.abs(np.round(probabilities, decimals))
    probabilities /= probabilities.sum(1, keepdims=True)
  return labels, probabilities


@pytest.mark.parametrize('size', [2, 5])
@pytest.mark.parametrize('decimals', [None, 1])
@pytest.mark.parametrize('seed', [0, 1])
def test_point_metrics_agree_with_scikit_learn(size, decimals, seed):
  names = _NAMES[:size]
  labels, probabilities = sample(97, size, seed, decimals)
  assert_same(
    point_metrics(labels, probabilities, names), sklearn_metrics(labels, probabilities, names)
  )


def test_a_class_absent_from_the_labels_is_undefined_and_left_out_of_averages():
  labels, probabilities = sample(60, 5, absent=(2,))
  ours = point_metrics(labels, probabilities, _NAMES)
  assert_same(ours, sklearn_metrics(labels, probabilities, _NAMES))
  assert math.isnan(ours['recall/bkl'])
  assert math.isnan(ours['auc/bkl'])
  assert ours['f1/bkl'] == 0  # it is predicted somewhere, always wrongly
  assert ours['support/bkl'] == 0


def test_a_class_never_predicted_has_no_precision_but_counts_zero_in_the_average():
  labels, probabilities = sample(60, 5)
  probabilities[:, 3] = 0
  probabilities /= probabilities.sum(1, keepdims=True)
  ours = point_metrics(labels, probabilities, _NAMES)
  assert_same(ours, sklearn_metrics(labels, probabilities, _NAMES))
  assert math.isnan(ours['precision/mel'])
  assert ours['recall/mel'] == ours['f1/mel'] == 0


@pytest.mark.parametrize('size', [2, 5])
def test_labels_of_one_class_only_leave_auc_undefined(size):
  _, probabilities = sample(20, size)
  ours = point_metrics(np.full(20, 1), probabilities, _NAMES[:size])
  assert math.isnan(ours['macro_auc'])
  assert ours['majority_accuracy'] == 1
  assert ours['accuracy'] == ours['balanced_accuracy'] == ours['recall/bcc']


def test_constant_scores_are_chance():
  labels = np.array([0, 1, 2, 2])
  ours = point_metrics(labels, np.full((4, 3), 1 / 3), _NAMES[:3])
  assert ours['macro_auc'] == 0.5
  assert ours['average_precision/bkl'] == 0.5
  assert ours['log_loss'] == pytest.approx(math.log(3))


def test_majority_accuracy_is_the_share_of_the_most_frequent_label():
  labels, probabilities = np.array([2, 2, 2, 0]), sample(4, 3)[1]
  assert point_metrics(labels, probabilities, _NAMES[:3])['majority_accuracy'] == 0.75


def test_binary_positive_class_is_the_last():
  labels = np.array([0, 0, 0, 1, 1])
  positive = np.array([0.1, 0.2, 0.9, 0.8, 0.3])
  ours = point_metrics(labels, np.stack([1 - positive, positive], 1), ('benign', 'malignant'))
  assert ours['sensitivity'] == 1 / 2
  assert ours['specificity'] == 2 / 3
  assert ours['macro_auc'] == pytest.approx(4 / 6)  # 0.8 and 0.3 both lose only to 0.9


def test_float32_probabilities_and_a_certain_error_keep_the_log_loss_finite():
  labels, probabilities = np.array([0, 1]), np.array([[1, 0], [1, 0]], np.float32)
  ours = point_metrics(labels, probabilities, ('a', 'b'))
  assert ours['log_loss'] == pytest.approx(sk.log_loss(labels, probabilities), rel=1e-6)


def test_weights_are_explicit_repetition():
  labels, probabilities = sample(80, 5, decimals=1)
  group_index = np.random.default_rng(3).integers(25, size=80)
  group_index[:25] = np.arange(25)
  rng = np.random.default_rng(4)
  weights = rng.multinomial(25, np.full(25, 1 / 25), size=30).astype(np.uint16)
  many = resampled_metrics(labels, probabilities, group_index, weights, _NAMES)
  majority = np.bincount(labels).argmax()
  for r, row in enumerate(weights):
    rows = np.repeat(np.arange(80), row[group_index])
    naive = sklearn_metrics(labels[rows], probabilities[rows], _NAMES)
    naive['majority_accuracy'] = np.mean(labels[rows] == majority)
    assert_same({name: value[r] for name, value in many.items()}, naive)


def test_blocks_do_not_change_the_result(monkeypatch):
  labels, probabilities = sample(50, 3)
  weights = np.random.default_rng(0).integers(3, size=(7, 50)).astype(np.uint16)
  whole = resampled_metrics(labels, probabilities, np.arange(50), weights, _NAMES[:3])
  monkeypatch.setattr('lesionjax.evaluation.metrics._BLOCK_ELEMENTS', 100)
  blocks = resampled_metrics(labels, probabilities, np.arange(50), weights, _NAMES[:3])
  for name, value in whole.items():
    np.testing.assert_array_equal(value, blocks[name])


def test_per_group_averages_probabilities_within_a_lesion():
  labels = np.array([1, 0, 1], np.int32)
  probabilities = np.array([[0.2, 0.8], [0.9, 0.1], [0.6, 0.4]], np.float32)
  truth, means, groups = per_group(labels, probabilities, np.array(['b', 'a', 'b']))
  np.testing.assert_array_equal(truth, [0, 1])
  np.testing.assert_allclose(means, [[0.9, 0.1], [0.4, 0.6]], rtol=1e-6)
  assert list(groups) == ['a', 'b']


def test_per_group_keeps_the_labels_of_a_patient_apart():
  probabilities = np.array([[0.2, 0.8], [0.4, 0.6]])
  truth, means, groups = per_group(np.array([1, 0]), probabilities, np.array(['p', 'p']))
  np.testing.assert_array_equal(truth, [0, 1])
  np.testing.assert_array_equal(means, probabilities[::-1])
  assert list(groups) == ['p', 'p']


@pytest.mark.parametrize(
  ('labels', 'probabilities', 'names', 'words'),
  [
    ([], np.zeros((0, 2)), ('a', 'b'), 'at least one prediction'),
    ([0, 2], np.full((2, 2), 0.5), ('a', 'b'), 'labels span 0..2'),
    ([-1, 0], np.full((2, 2), 0.5), ('a', 'b'), 'labels span -1..0'),
    ([0, 1], np.full((2, 3), 0.5), ('a', 'b'), r'\(2, 3\)'),
    ([0, 1], np.full((2, 2), np.nan), ('a', 'b'), '2 of 2 predictions are not finite'),
    ([0, 1], np.full((2, 2), 0.5), ('a', 'a'), 'at least two different names'),
  ],
)
def test_predictions_that_do_not_fit_are_told(labels, probabilities, names, words):
  with pytest.raises(UserError, match=words):
    point_metrics(np.array(labels, np.int32), probabilities, names)
