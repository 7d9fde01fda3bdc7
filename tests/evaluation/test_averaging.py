"""Averaged probabilities against one classifier: by hand, by scikit-learn, and where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from data_builders.errors import UserError
from lesionjax.evaluation import averaging

NAMES = ('a', 'b', 'c')


def noisy(seed: int, labels: np.ndarray, noise: float) -> np.ndarray:
  rng = np.random.default_rng(seed)
  logits = 2 * np.eye(3)[labels] + noise * rng.normal(size=(len(labels), 3))
  return (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)


def limits(gain) -> np.ndarray:
  return np.array([gain[key] for key in ('low', 'value', 'high')], float)


LABELS = np.arange(600) % 3
GROUPS = np.arange(600) // 2
MEMBERS = [noisy(seed, LABELS, 2.0) for seed in range(3)]


def test_independent_errors_average_out():
  found = averaging.compare(
    LABELS, {'single': MEMBERS[0], 'members': averaging.mean(MEMBERS)}, 'single', GROUPS, NAMES, 200
  )
  way = found['members']
  assert way.verdicts == dict.fromkeys(averaging.COMPARED, 'better')
  assert (limits(way.gain['log_loss']) < 0).all()
  assert (limits(way.gain['macro_auc']) > 0).all()
  assert found['single'].gain == {}


def test_gains_are_differences_of_what_scikit_learn_says():
  mean = averaging.mean(MEMBERS)
  np.testing.assert_allclose(mean, sum(each.astype(float) for each in MEMBERS) / 3, atol=1e-7)
  ways = {'single': MEMBERS[1], 'members': mean}
  gain = averaging.compare(LABELS, ways, 'single', GROUPS, NAMES, 50)['members'].gain

  def gained(metric):
    return metric(mean) - metric(MEMBERS[1])

  expected = {
    'macro_auc': gained(lambda p: roc_auc_score(LABELS, p, multi_class='ovr')),
    'balanced_accuracy': gained(lambda p: balanced_accuracy_score(LABELS, p.argmax(1))),
    'accuracy': gained(lambda p: (p.argmax(1) == LABELS).mean()),
    'log_loss': gained(lambda p: log_loss(LABELS, p / p.astype(float).sum(1, keepdims=True))),
  }
  for name, value in expected.items():
    assert gain[name]['value'] == pytest.approx(value, abs=1e-5), name
    assert (np.diff(limits(gain[name])) >= 0).all()


def test_a_classifier_gains_nothing_on_itself():
  ways = {'single': MEMBERS[0], 'members': MEMBERS[0]}
  way = averaging.compare(LABELS, ways, 'single', GROUPS, NAMES, 20)['members']
  assert {gain['value'] for gain in way.gain.values()} == {0.0}
  assert set(way.verdicts.values()) == {'no difference shown'}


def test_the_best_is_chosen_by_the_metric_that_is_asked_for():
  sharp = noisy(7, LABELS, 1.0)
  assert averaging.best(LABELS, [MEMBERS[0], sharp, MEMBERS[1]], NAMES, 'balanced_accuracy') == 1
  assert averaging.best(LABELS, [MEMBERS[0], sharp], NAMES, 'loss') == 1
  assert averaging.best(LABELS, [sharp, sharp], NAMES) == 0


def test_one_class_alone_chooses_nobody():
  labels = np.zeros(20, int)
  with pytest.raises(UserError, match='macro_auc is undefined on the validation images'):
    averaging.best(labels, [noisy(0, labels, 1.0)], NAMES)
  ways = {'single': noisy(0, labels, 1.0), 'views': noisy(1, labels, 1.0)}
  way = averaging.compare(labels, ways, 'single', np.arange(20), NAMES, 20)['views']
  assert way.gain['macro_auc']['value'] is None
  assert way.verdicts['macro_auc'] == 'no difference shown'
