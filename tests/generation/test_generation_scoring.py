"""Figures of generated beside real images: every one with an interval where it has one."""

from __future__ import annotations

import numpy as np
import pytest

from lesionjax.evaluation.generation import fid, kid
from lesionjax.generation.generation_scoring import compare
from lesionjax.generation.judging import Seen

NAMES = ('nv', 'df', 'vasc')
LABELS = np.array([0] * 60 + [1] * 30)


def seen(rng, shift, right):
  features = rng.normal(size=(90, 4)) + shift + LABELS[:, None]
  predicted = np.where(rng.uniform(size=90) < right, LABELS, (LABELS + 1) % 3)
  return Seen(features.astype(np.float32), predicted, LABELS)


@pytest.fixture
def both():
  rng = np.random.default_rng(0)
  return seen(rng, 0.0, 0.8), seen(rng, 0.4, 0.5)


def test_values_lie_within_their_intervals(both):
  real, generated = both
  found = compare(real, generated, NAMES, np.arange(90) // 2, resamples=200)
  names = {'fid', 'kid', 'manifold_precision', 'manifold_recall', 'judge_ratio'}
  kinds = {'kid', 'judge_recall', 'real_recall'}
  assert {*found} == names | kinds | {f'{k}/{name}' for k in kinds for name in NAMES[:2]}
  for name, entry in found.items():
    assert entry['low'] <= entry['value'] <= entry['high'], name
  pair = real.features, generated.features
  assert (found['fid']['value'], found['kid']['value']) == (fid(*pair), kid(*pair))
  recalls = [(each.predicted == LABELS)[c == LABELS].mean() for each in both for c in (0, 1)]
  assert found['real_recall']['value'] == pytest.approx(np.mean(recalls[:2]))
  ratio = np.mean(recalls[2:]) / np.mean(recalls[:2])
  assert found['judge_ratio']['value'] == pytest.approx(ratio)
  assert found['judge_ratio']['high'] < 1


def test_lesions_make_intervals_of_real_images_wider(both):
  groups = np.arange(90) // 3
  apart, together = (compare(*both, NAMES, g, resamples=100) for g in (None, groups))

  def width(found, name):
    return found[name]['high'] - found[name]['low']

  assert width(together, 'real_recall/nv') > 1.3 * width(apart, 'real_recall/nv')
  assert width(together, 'manifold_recall') > 1.3 * width(apart, 'manifold_recall')
  assert width(together, 'judge_recall/nv') == width(apart, 'judge_recall/nv')


def test_where_nothing_varies_no_interval_is_told(both):
  real = both[0]._replace(predicted=LABELS)
  found = compare(real, real, NAMES, resamples=20)
  assert found['judge_ratio'] == {'value': 1.0, 'n': 90}
