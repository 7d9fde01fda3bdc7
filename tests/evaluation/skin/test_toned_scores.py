"""Paired changes of scores, against hand numbers."""

from __future__ import annotations

import numpy as np
import pytest

from lesionjax.evaluation.skin import toned_scores

BEFORE = np.array([0.2, 0.6, 0.4, 0.9])
AFTER = np.array([0.6, 0.6, 0.3, 0.4])
TRUTH = np.array([True, True, False, False])
GROUPS = np.array(['a', 'b', 'c', 'd'])


def test_hand_numbers():
  found = toned_scores.summarise(BEFORE, AFTER, TRUTH, GROUPS, 0.5)
  assert found['change']['value'] == pytest.approx((0.4 + 0 - 0.1 - 0.5) / 4)
  assert found['absolute_change']['value'] == pytest.approx(0.25)
  assert found['flips']['value'] == 0.5
  assert (found['raised'], found['lowered']) == (1, 1)
  assert found['sensitivity']['value'] == 1
  assert found['specificity']['value'] == 1


def test_images_of_a_lesion_are_drawn_together():
  rng = np.random.default_rng(0)
  change = np.repeat(rng.normal(0, 0.1, 20), 10)
  before = np.full(200, 0.5)
  lesions = np.repeat(np.arange(20).astype(str), 10)
  together = toned_scores.summarise(before, before + change, change > 0, lesions, 0.5)['change']
  alone = toned_scores.summarise(
    before, before + change, change > 0, np.arange(200).astype(str), 0.5
  )['change']
  assert together['high'] - together['low'] > 2 * (alone['high'] - alone['low'])


def test_nothing_changed_has_an_honest_interval():
  found = toned_scores.summarise(BEFORE, BEFORE, TRUTH, GROUPS, 0.5)
  assert found['flips']['value'] == 0
  assert found['flips']['high'] > 0.3  # of four images, not 0
  assert found['change'] == {'value': 0, 'low': 0, 'high': 0, 'n': 4}


def test_one_class_only_is_stated():
  found = toned_scores.summarise(BEFORE, AFTER, np.zeros(4, bool), GROUPS, 0.5)
  assert found['sensitivity']['value'] is None
  assert found['sensitivity']['reason'] == 'no image is positive'


def test_the_range_spans_all_tones():
  entries = [{'change': {'value': value}} for value in (-0.1, None, 0.2)]
  assert toned_scores.steepest(entries) == pytest.approx(0.3)
