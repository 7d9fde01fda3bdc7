"""Prediction sets hold what they promise, and say where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.evaluation.calibration import conformal, temperature
from lesionjax.evaluation.calibration.resampling import Groups
from tests.evaluation.calibration.predictions import draw

NAMES = ('nv', 'mel', 'bcc')


@pytest.mark.parametrize('images', [1, 3])
@pytest.mark.parametrize('coverage', [0.8, 0.9])
def test_coverage_within_two_points_marginally_and_in_every_class(coverage, images):
  data = draw(12_000, shares=(0.5, 0.3, 0.2), sharpness=2.0, images=images)
  noise = np.random.default_rng(1).normal(size=data.logits.shape)  # images of a lesion differ
  probabilities = temperature.probabilities_of(data.logits + noise)
  held, errors = [], []
  for split in range(20):
    chosen = np.random.default_rng(100 + split).random(12_000) < 0.5
    fitting = np.repeat(chosen, images)
    sets = conformal.fit(
      data.labels[fitting], probabilities[fitting], data.groups[fitting], NAMES, coverage, split
    )
    rest = ~fitting
    inside = sets.sets(probabilities[rest])[np.arange(rest.sum()), data.labels[rest]]
    parts = [data.labels[rest] >= 0, *(data.labels[rest] == k for k in range(3))]
    held.append([inside[part].mean() for part in parts])
    # One resplit: as far off as two samples of so many lesions are.
    lesions = np.array([part.sum() / images for part in parts])
    errors.append(np.sqrt(2 * coverage * (1 - coverage) / lesions))
  assert np.abs(np.mean(held, axis=0) - coverage).max() < 0.02
  assert (np.abs(np.array(held) - coverage) < 4 * np.array(errors)).all()


def test_the_fewest_cases_cover_no_less_than_promised_on_average():
  held = []
  for seed in range(400):
    scores = np.random.default_rng(seed).random((10, 2))
    sets = conformal.fit(np.zeros(9, int), scores[:9], np.arange(9), ('a', 'b'), 0.9)
    held.append(sets.sets(scores[9:])[0, 0])
  assert np.mean(held) >= 0.9 - 3 * np.sqrt(0.09 / 400)


def test_calibration_sets_end_where_their_size_lets_them():
  coverage = []
  for seed in range(2000):  # of uniform scores the threshold is the true coverage
    probabilities = np.random.default_rng(seed).random((30, 2))
    sets = conformal.fit(np.zeros(30, int), probabilities, np.arange(30), ('a', 'b'), 0.9)
    coverage.append(sets.thresholds[0])
  expected = np.quantile(coverage, [0.025, 0.975])
  np.testing.assert_allclose(conformal.likely_coverage(30, 0.9), expected, atol=0.01)


def test_the_threshold_is_the_finite_sample_quantile():
  # Scores .01 to .19 in steps of .01: ceil(20 * .9) = 18th of 19.
  probabilities = np.column_stack([1 - np.arange(1, 20) / 100, np.arange(1, 20) / 100])
  sets = conformal.fit(np.zeros(19, int), probabilities, np.arange(19), ('a', 'b'), 0.9)
  assert sets.thresholds[0] == pytest.approx(0.18)
  assert sets.sets([[0.825, 0.175], [0.815, 0.185]])[:, 0].tolist() == [True, False]


@pytest.mark.parametrize(('coverage', 'needed'), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19)])
def test_a_class_with_too_few_cases_is_always_included_and_says_so(coverage, needed):
  assert conformal.needed_cases(coverage) == needed
  for cases in (needed - 1, needed):
    labels = np.concatenate([np.zeros(cases, int), np.ones(30, int)])
    probabilities = np.random.default_rng(0).dirichlet([1, 1], len(labels))
    sets = conformal.fit(labels, probabilities, np.arange(len(labels)), ('df', 'nv'), coverage)
    assert sets.always.tolist() == [cases < needed, False]
    if cases < needed:
      assert sets.sets([[0.0, 1.0]])[0, 0]
      assert f'{needed} are needed' in sets.reason(0)
      assert f'{cases} calibration case' in sets.reason(0)
      assert not sets.reason(1)


def test_images_of_one_lesion_count_once():
  labels = np.zeros(30, int)
  groups = np.repeat(['a', 'b', 'c'], 10)
  rows = conformal.one_a_group(labels, groups, seed=0)
  assert groups[rows].tolist() == ['a', 'b', 'c']
  labels[:5] = 1  # a patient with lesions of two classes
  rows = conformal.one_a_group(labels, groups, seed=0)
  assert sorted(zip(groups[rows].tolist(), labels[rows].tolist(), strict=True)) == [
    ('a', 0), ('a', 1), ('b', 0), ('c', 0)
  ]  # fmt: skip
  drawn = {conformal.one_a_group(labels, groups, seed)[-1] for seed in range(50)}
  assert len(drawn) > 5


def test_measures_by_hand():
  sets = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1]], bool)
  labels = np.array([0, 0, 1, 1])
  found = conformal.measure(sets, labels, Groups.of(np.arange(4), 20), NAMES)
  assert found['coverage']['value'] == 0.75
  assert found['size']['value'] == 1.25
  assert found['single']['value'] == found['empty']['value'] == 0.25
  assert found['sizes'] == [1, 1, 2, 0]
  assert found['classes']['nv']['coverage']['value'] == 1.0
  assert found['classes']['nv']['coverage']['low'] < 1.0
  assert found['classes']['mel']['size']['value'] == 1.0
  assert found['classes']['bcc']['coverage'] == {'value': None, 'low': None, 'high': None, 'n': 0}


def test_a_coverage_that_is_none_is_refused():
  with pytest.raises(UserError, match=r'evaluate\.coverage=1\.0 must be above 0 and below 1'):
    conformal.fit(np.zeros(3, int), np.ones((3, 2)), np.arange(3), ('a', 'b'), 1.0)
