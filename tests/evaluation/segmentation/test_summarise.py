"""Means and paired differences against explicit resampling."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.evaluation.intervals import group_weights, wilson
from lesionjax.evaluation.segmentation import paired_differences, summarise


def scores(seed: int, count=80):
  rng = np.random.default_rng(seed)
  dice = rng.beta(8, 2, count)
  distance = np.where(rng.random(count) < 0.1, np.nan, rng.gamma(2, 3, count))
  return {'dice': dice, 'hd95_percent': distance, 'failure': (dice < 0.7).astype(float)}


GROUPS = np.random.default_rng(9).integers(30, size=80).astype(str)


def resampled(each: np.ndarray, seed: int, resamples: int) -> list[float]:
  names, index = np.unique(GROUPS, return_inverse=True)
  drawn = []
  for row in group_weights(len(names), resamples, seed):
    images = np.repeat(np.arange(len(each)), row[index])
    drawn.append(np.nanmean(each[images]))
  return drawn


def test_intervals_are_percentiles_of_explicitly_resampled_groups():
  values = scores(0)
  report = summarise(values, GROUPS, resamples=70, seed=4)
  for name in ('dice', 'hd95_percent'):
    low, high = np.quantile(resampled(values[name], 4, 70), [0.025, 0.975])
    assert report[name]['value'] == pytest.approx(np.nanmean(values[name]))
    assert report[name]['low'] == pytest.approx(low)
    assert report[name]['high'] == pytest.approx(high)
  missing = int(np.isnan(values['hd95_percent']).sum())
  assert missing > 0
  assert report['hd95_percent']['undefined'] == missing
  assert report['hd95_percent']['n'] == 80 - missing
  assert report['dice']['undefined'] == 0


def test_the_share_of_failures_has_wilsons_interval_over_groups():
  share = scores(0)['failure'].mean()
  for groups, size in (
    (np.arange(80), 80),
    (np.arange(80) // 4, 20),
    (np.array([0] * 40 + list(range(1, 41))), 3),  # 80^2 / (40^2 + 40) = 3.9
  ):
    entry = summarise(scores(0), groups)['failure']
    assert (entry['low'], entry['high']) == wilson(share, size)
    assert entry['value'] == share


def test_paired_differences_use_the_same_resamples_for_both():
  first, second = scores(0), scores(1)
  second['dice'] = (
    first['dice'] - 0.01 - 0.001 * np.arange(80) / 80
  )  # hard images are hard for both
  report = paired_differences(first, second, GROUPS, resamples=70, seed=4)
  for name in ('dice', 'hd95_percent', 'failure'):
    low, high = np.quantile(resampled(first[name] - second[name], 4, 70), [0.025, 0.975])
    assert report[name]['low'] == pytest.approx(low)
    assert report[name]['high'] == pytest.approx(high)
  assert report['dice']['low'] > 0.0100
  alone = summarise(first, GROUPS)['dice']
  assert alone['high'] - alone['low'] > 10 * (report['dice']['high'] - report['dice']['low'])
  either = np.isnan(first['hd95_percent']) | np.isnan(second['hd95_percent'])
  assert report['hd95_percent']['undefined'] == either.sum()


def test_where_all_agree_wilson_speaks_and_distances_are_silent():
  values = {'dice': np.ones(6), 'hd95_percent': np.zeros(6), 'failure': np.zeros(6)}
  groups = np.arange(6) // 2
  report = summarise(values, groups)
  for name in ('dice', 'failure'):
    assert (report[name]['low'], report[name]['high']) == wilson(report[name]['value'], 3)
  assert report['hd95_percent']['value'] == 0
  assert report['hd95_percent']['low'] is None
  same = paired_differences(values, values, groups)['dice']
  assert (same['value'], same['low'], same['high']) == (0, 0, 0)
  one_lesion = paired_differences(values, values, np.zeros(6))['dice']
  assert (one_lesion['value'], one_lesion['low']) == (0, None)


def test_nothing_defined_is_none_and_json():
  values = {'hd95_percent': np.full(4, np.nan), 'dice': np.array([0, 0.5, 1, 1])}
  report = summarise(values, np.arange(4))
  assert report['hd95_percent'] == {
    'value': None,
    'low': None,
    'high': None,
    'n': 0,
    'undefined': 4,
  }
  assert 'NaN' not in json.dumps(report)


def test_mistakes_are_named():
  values = scores(0)
  with pytest.raises(UserError, match='no masks to average'):
    summarise({'dice': np.zeros(0)}, np.zeros(0))
  with pytest.raises(UserError, match=r'dice has shape \(80,\) but groups \(79,\)'):
    summarise(values, GROUPS[1:])
  with pytest.raises(UserError, match='Only one of the two methods has failure'):
    paired_differences(values, {k: v for k, v in values.items() if k != 'failure'}, GROUPS)
  with pytest.raises(UserError, match='dice has 80 images of one method and 79 of the other'):
    paired_differences(values, {k: v[1:] for k, v in values.items()}, GROUPS)
