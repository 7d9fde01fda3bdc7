"""The order of the training stream."""

from __future__ import annotations

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.data.sampling import SAMPLINGS, Order

PINNED_UNIFORM = [59, 49, 64, 45, 55, 13]
PINNED_BALANCED = [49, 54, 63, 53, 65, 45]
LABELS = np.repeat([0, 1, 3], [50, 12, 5])  # class 2 has no record


def draws(order: Order, count: int) -> np.ndarray:
  return np.array([order(position) for position in range(count)])


def test_uniform_visits_every_record_once_an_epoch_in_new_order():
  epochs = draws(Order(LABELS, seed=3), 3 * 67).reshape(3, 67)
  for epoch in epochs:
    np.testing.assert_array_equal(np.sort(epoch), np.arange(67))
  assert (epochs[0] != epochs[1]).any()
  assert (epochs[0] != np.arange(67)).any()


def test_balanced_counts_differ_by_at_most_one_at_any_time():
  classes = LABELS[draws(Order(LABELS, seed=3, sampling='balanced'), 300)]
  for end in range(3, 301, 3):
    counts = np.bincount(classes[:end], minlength=4)
    assert counts.tolist() == [end // 3, end // 3, 0, end // 3]


def test_balanced_exhausts_a_class_before_repeating():
  drawn = draws(Order(LABELS, seed=3, sampling='balanced'), 3 * 24)
  minority = drawn[LABELS[drawn] == 1]
  for cycle in minority.reshape(2, 12):
    assert len(set(cycle.tolist())) == 12


def test_sqrt_shares_are_proportional_to_the_root_of_the_class_size():
  classes = LABELS[draws(Order(LABELS, seed=3, sampling='sqrt'), 1000)]
  root = np.sqrt([50, 12, 5])
  shares = np.bincount(classes, minlength=4)[[0, 1, 3]] / 1000
  np.testing.assert_allclose(shares, root / root.sum(), atol=1e-3)


def test_sqrt_exhausts_every_class_before_repeating():
  drawn = draws(Order(LABELS, seed=3, sampling='sqrt'), 3000)  # three cycles
  for label, size in ((0, 50), (1, 12), (3, 5)):
    of_class = drawn[LABELS[drawn] == label]
    whole = of_class[: len(of_class) // size * size].reshape(-1, size)
    assert all(len(set(epoch.tolist())) == size for epoch in whole)


def test_undersampling_draws_a_new_part_of_every_class_each_round():
  rounds = draws(Order(LABELS, seed=3, sampling='undersample'), 40 * 15).reshape(40, 15)
  for drawn in rounds:
    assert len(set(drawn.tolist())) == 15
    assert np.bincount(LABELS[drawn]).tolist() == [5, 5, 0, 5]
  largest = [frozenset(drawn[LABELS[drawn] == 0].tolist()) for drawn in rounds]
  assert len(set(largest)) == 40
  # Parts are independent: 40 draws of 5 of 50 leave out (1 - 1/10)^40 = 1.5 % of the class.
  assert 45 <= len(frozenset().union(*largest)) <= 50
  assert len(frozenset().union(*largest[:10])) < 45  # a walk in permutations would have shown all
  assert {*rounds[0][:5].tolist()} != {*largest[0]}  # classes are mixed


def test_oversampling_repeats_every_class_to_the_size_of_the_largest():
  for drawn in draws(Order(LABELS, seed=3, sampling='oversample'), 4 * 150).reshape(4, 150):
    times = np.bincount(drawn, minlength=67)
    assert np.bincount(LABELS[drawn]).tolist() == [50, 50, 0, 50]
    assert set(times[LABELS == 0]) == {1}
    assert set(times[LABELS == 1]) == {4, 5}  # 50 = 4 x 12 + 2
    assert set(times[LABELS == 3]) == {10}
  one, two = draws(Order(LABELS, seed=3, sampling='oversample'), 300).reshape(2, 150)
  assert (one != two).any()


@pytest.mark.parametrize('sampling', SAMPLINGS)
def test_a_position_needs_no_history(sampling: str):
  expected = draws(Order(LABELS, seed=5, sampling=sampling), 500)
  order = Order(LABELS, seed=5, sampling=sampling)
  backwards = [order(position) for position in reversed(range(500))]
  np.testing.assert_array_equal(backwards[::-1], expected)


def test_the_order_is_pinned():
  # Recorded once: runs that resume under another version of NumPy must see the same order.
  assert draws(Order(LABELS, seed=0), 6).tolist() == PINNED_UNIFORM
  assert draws(Order(LABELS, seed=0, sampling='balanced'), 6).tolist() == PINNED_BALANCED


def test_another_seed_is_another_order():
  assert (draws(Order(LABELS, seed=0), 67) != draws(Order(LABELS, seed=1), 67)).any()


def test_an_unknown_sampling_is_named():
  with pytest.raises(UserError, match=r"data.sampling is 'blanced'; it must be one of 'uniform'"):
    Order(LABELS, 0, 'blanced')
