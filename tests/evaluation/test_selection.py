"""Examples are confident, balanced over classes and hits / errors, and never repeated."""

from __future__ import annotations

import numpy as np

from lesionjax.evaluation import select_examples
from lesionjax.evaluation.selection import select_explained


def test_first_round_takes_the_most_confident_hit_and_error_of_every_class():
  labels = np.array([0, 0, 0, 0, 1, 1, 1])
  probabilities = np.array(
    [[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7], [0.7, 0.3], [0.95, 0.05]]
  )
  assert list(select_examples(labels, probabilities, 4)) == [1, 2, 4, 6]
  assert list(select_examples(labels, probabilities, 100)) == [1, 2, 4, 6, 0, 3, 5]


def test_a_rare_class_is_shown_first_and_nothing_repeats():
  rng = np.random.default_rng(0)
  labels = np.array([0] * 500 + [1] * 3)
  picked = select_examples(labels, rng.dirichlet([1, 1], 503), 20)
  assert len(set(picked.tolist())) == len(picked) == 20
  assert (labels[picked] == 1).sum() == 3


def test_at_most_one_image_of_a_lesion():
  labels = np.zeros(6, int)
  probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9], [0.2, 0.8], [0.6, 0.4]])
  groups = np.array(['a', 'a', 'b', 'c', 'c', 'd'])
  picked = select_examples(labels, probabilities, 10, groups)
  assert sorted(groups[picked]) == ['a', 'b', 'c', 'd']
  assert picked[0] == 0


def test_no_predictions_give_no_examples():
  assert select_examples(np.zeros(0, int), np.zeros((0, 3)), 5).shape == (0,)


def test_explained_are_confident_errors_then_missed_positives_then_hits():
  # Class 0 must not be missed. Rows 0-2: errors; 3: a miss that is no confident error; 4-6: hits.
  labels = np.array([1, 1, 2, 0, 0, 1, 2])
  probabilities = np.array(
    [
      [0.10, 0.00, 0.90],
      [0.80, 0.10, 0.10],
      [0.30, 0.60, 0.10],
      [0.05, 0.50, 0.45],
      [0.95, 0.03, 0.02],
      [0.10, 0.70, 0.20],
      [0.00, 0.20, 0.80],
    ]
  )
  positive = np.array([True, False, False])
  rows, kinds = select_explained(labels, probabilities, positive, 4)
  assert rows.tolist() == [0, 1, 3, 4]
  assert kinds == ['error', 'error', 'miss', 'hit']
  rows, kinds = select_explained(labels, probabilities, positive, 10)
  assert sorted(rows.tolist()) == list(range(7))
  assert len(kinds) == 7


def test_explained_take_one_image_of_a_lesion_and_fill_up_with_errors():
  labels = np.zeros(8, int)
  probabilities = np.column_stack([np.linspace(0.4, 0.05, 8), np.linspace(0.6, 0.95, 8)])
  groups = np.array(list('aabbccdd'))
  rows, kinds = select_explained(labels, probabilities, np.array([False, True]), 4, groups)
  assert rows.tolist() == [7, 5, 3, 1]
  assert set(kinds) == {'error'}
  none, _ = select_explained(labels[:0], probabilities[:0], np.array([False, True]), 4)
  assert none.shape == (0,)
