"""Within-source AUC against scikit-learn, where a classifier tells sources and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lesionjax.evaluation.calibration.resampling import Groups
from lesionjax.evaluation.subgroups.within import Classified, within_source

NAMES = ('a', 'b', 'c')


def classified(rng, labels, scores):
  probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
  return Classified(labels, probabilities, NAMES, Groups.of(np.arange(len(labels)), 200))


def test_telling_sources_is_no_skill_within_them():
  rng = np.random.default_rng(0)
  # One source has a and b, the other b and c; scores know the source alone.
  sources = np.repeat(['one', 'two'], 150)
  labels = np.where(sources == 'one', rng.integers(0, 2, 300), rng.integers(1, 3, 300))
  scores = rng.normal(size=(300, 3)) + 3.0 * np.where(
    (sources == 'one')[:, None], [1, 0, -1], [-1, 0, 1]
  )
  found = classified(rng, labels, scores)
  told = within_source(found, sources, ('one', 'two'), 10)
  assert told['single'] == {'a': 'one', 'c': 'two'}
  assert told['classes'] == ['a', 'b', 'c']
  means = []
  for row, name, classes in zip(told['sources'], ('one', 'two'), ((0, 1), (1, 2)), strict=True):
    mine = sources == name
    expected = np.mean(
      [roc_auc_score(labels[mine] == c, found.probabilities[mine, c]) for c in classes]
    )
    assert row['macro_auc']['value'] == pytest.approx(expected)
    assert row['images'] == 150
    means.append(expected)
  overall = np.mean([roc_auc_score(labels == c, found.probabilities[:, c]) for c in range(3)])
  assert told['overall']['value'] == pytest.approx(overall)
  assert told['within']['value'] == pytest.approx(np.mean(means))
  assert told['difference']['value'] == pytest.approx(np.mean(means) - overall)
  assert told['difference']['high'] < -0.1  # shown to be worse
  assert told['within']['low'] < 0.5 < told['within']['high']


def test_too_few_of_a_class_do_not_count_and_one_source_compares_nothing():
  rng = np.random.default_rng(1)
  labels = np.array([0] * 40 + [1] * 40 + [2] * 5)
  found = classified(rng, labels, rng.normal(size=(85, 3)))
  sources = np.array(['one'] * 60 + ['two'] * 25)
  assert within_source(found, sources, ('one',), 10) is None
  told = within_source(found, sources, ('one', 'two'), 10)
  assert [row['classes'] for row in told['sources']] == [['a', 'b'], []]
  assert told['sources'][1]['macro_auc'] is None
  none = within_source(found, sources, ('one', 'two'), 50)
  assert none['overall'] is none['within'] is none['difference'] is None


def test_two_classes_have_one_auc():
  rng = np.random.default_rng(2)
  labels = rng.integers(0, 2, 100)
  score = rng.random(100)
  found = Classified(
    labels, np.stack([1 - score, score], 1), ('no', 'yes'), Groups.of(np.arange(100), 50)
  )
  sources = np.repeat(['one', 'two'], 50)
  told = within_source(found, sources, ('one', 'two'), 5)
  assert told['overall']['value'] == pytest.approx(roc_auc_score(labels, score))
