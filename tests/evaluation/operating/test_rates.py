"""Rates, decision curve and sensitivity at fixed specificity against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from lesionjax.evaluation import intervals, operating
from lesionjax.evaluation.operating import rates


def make(count=200, seed=0, groups=None, resamples=200, decimals=2):
  rng = np.random.default_rng(seed)
  truth = rng.random(count) < 0.3
  scores = np.round(1 / (1 + np.exp(-rng.normal(size=count) - 1.5 * truth + 1)), decimals)
  ids = rng.integers(groups, size=count) if groups else np.arange(count)
  return operating.Sample.of(truth, scores, ids, resamples)


@pytest.mark.parametrize('threshold', [0.1, 0.37, 0.8])
def test_rates_are_scikit_learns(threshold):
  sample = make()
  found = operating.measure(sample, threshold)
  called = sample.scores >= threshold
  tn, fp, fn, tp = sk.confusion_matrix(sample.truth, called).ravel()
  expected = {
    'tp': tp, 'fp': fp, 'tn': tn, 'fn': fn,
    'sensitivity': sk.recall_score(sample.truth, called),
    'specificity': sk.recall_score(~sample.truth, ~called),
    'ppv': sk.precision_score(sample.truth, called),
    'npv': sk.precision_score(~sample.truth, ~called),
    'accuracy': sk.accuracy_score(sample.truth, called),
    'f1': sk.f1_score(sample.truth, called),
    'balanced_accuracy': sk.balanced_accuracy_score(sample.truth, called),
    'referred': called.mean(),
  }  # fmt: skip
  assert set(found) == {'threshold', *expected}
  for name, value in expected.items():
    assert found[name]['value'] == pytest.approx(value), name
    assert found[name]['low'] <= value + 1e-12
    assert found[name]['high'] >= value - 1e-12
  assert found['ppv']['n'] == called.sum()
  assert found['sensitivity']['n'] == found['fn']['n'] == sample.truth.sum()


def test_intervals_are_those_of_explicitly_drawn_groups():
  sample = make(80, groups=30)
  found = operating.measure(sample, 0.4)
  drawn = []
  for row in sample.weights:
    rows = np.repeat(np.arange(80), row[sample.group_index])
    drawn.append(sk.f1_score(sample.truth[rows], sample.scores[rows] >= 0.4))
  low, high = np.quantile(drawn, [0.025, 0.975])
  assert (found['f1']['low'], found['f1']['high']) == (pytest.approx(low), pytest.approx(high))


def test_a_rate_of_one_has_wilsons_interval_and_a_count_of_none_too():
  truth = np.array([1] * 10 + [0] * 30, bool)
  sample = operating.Sample.of(truth, truth * 1.0, np.arange(40), 50)
  found = operating.measure(sample, 0.5)
  low, high = intervals.wilson(1.0, 10)
  assert (found['sensitivity']['low'], found['sensitivity']['high']) == (low, high)
  none, upper = intervals.wilson(0.0, 10)
  assert found['fn']['value'] == found['fn']['low'] == none == 0
  assert found['fn']['high'] == pytest.approx(10 * upper)


@pytest.mark.parametrize(
  ('truth', 'threshold', 'undefined'),
  [
    ([0, 1, 0, 1], 0.9, {'ppv': 'no image reaches the threshold'}),
    ([0, 1, 0, 1], 0.0, {'npv': 'every image reaches the threshold'}),
    (
      [0, 0, 0, 0],
      0.9,
      {
        'sensitivity': 'no image is positive',
        'ppv': 'no image reaches the threshold',
        'f1': 'no image is positive or reaches the threshold',
        'balanced_accuracy': 'all images are of one kind',
      },
    ),
  ],
)
def test_what_is_undefined_says_why(truth, threshold, undefined):
  scores = np.array([0.1, 0.2, 0.3, 0.4])
  sample = operating.Sample.of(np.array(truth, bool), scores, np.arange(4), 20)
  found = operating.measure(sample, threshold)
  told = {name: found[name].get('reason') for name in rates.RATES if found[name]['value'] is None}
  assert told == undefined
  assert not any(np.isnan(e) for n in undefined for e in found[n].values() if type(e) is float)


def test_net_benefit_by_hand():
  # At t = .2 (odds 1/4): two of three positives and one of five negatives are referred.
  truth = np.array([1, 1, 1, 0, 0, 0, 0, 0], bool)
  scores = np.array([0.9, 0.2, 0.1, 0.5, 0.1, 0.1, 0.1, 0.1])
  curve = operating.net_benefit(operating.Sample.of(truth, scores, np.arange(8), 50))
  row = curve['threshold'].index(0.2)
  assert curve['model'][row] == pytest.approx(2 / 8 - 1 / 8 / 4)
  assert curve['all'][row] == pytest.approx(3 / 8 - 5 / 8 / 4)
  assert curve['gain'][row] == pytest.approx(curve['model'][row] - curve['all'][row])
  assert curve['all'][curve['threshold'].index(0.5)] == pytest.approx(3 / 8 - 5 / 8)
  assert curve['gain'][-1] == pytest.approx(curve['model'][-1])  # none is worth 0
  assert curve['prevalence'] == 3 / 8


def test_net_benefit_intervals_are_those_of_drawn_images():
  sample = make(60, groups=25, resamples=40)
  curve = operating.net_benefit(sample)
  row, drawn, gains = 29, [], []
  for weights in sample.weights:
    w = weights[sample.group_index]
    called, odds = sample.scores >= 0.30, 0.3 / 0.7
    both = [(w * rows * (sample.truth - ~sample.truth * odds)).sum() for rows in (called, True)]
    drawn.append(both[0] / w.sum())
    gains.append((both[0] - max(both[1], 0)) / w.sum())
  assert curve['threshold'][row] == 0.3
  assert (curve['low'][row], curve['high'][row]) == pytest.approx(
    np.quantile(drawn, [0.025, 0.975])
  )
  limits = curve['gain_low'][row], curve['gain_high'][row]
  assert limits == pytest.approx(np.quantile(gains, [0.025, 0.975]))


def test_sensitivity_at_specificity_is_on_the_roc_curve_of_every_draw():
  sample = make(90, groups=40, resamples=30, decimals=1)
  found = operating.sensitivity_at(sample)

  def best(truth, scores, percent):
    fpr, tpr, _ = sk.roc_curve(truth, scores, drop_intermediate=False)
    return tpr[fpr <= 1 - percent / 100 + 1e-12].max()

  for percent in operating.SPECIFICITIES:
    entry = found[str(percent)]
    assert entry['value'] == pytest.approx(best(sample.truth, sample.scores, percent))
    drawn = []
    for row in sample.weights:
      rows = np.repeat(np.arange(90), row[sample.group_index])
      drawn.append(best(sample.truth[rows], sample.scores[rows], percent))
    limits = np.quantile(drawn, [0.025, 0.975])
    assert (entry['low'], entry['high']) == pytest.approx(tuple(limits))


def test_blocks_do_not_change_sensitivity_at_specificity(monkeypatch):
  sample = make(50, resamples=20)
  whole = operating.sensitivity_at(sample)
  monkeypatch.setattr('lesionjax.evaluation.operating.roc._BLOCK_ELEMENTS', 100)
  assert operating.sensitivity_at(sample) == whole


def test_one_kind_only_has_no_sensitivity_and_says_so():
  sample = operating.Sample.of(np.zeros(5, bool), np.arange(5) / 5, np.arange(5), 10)
  entry = operating.sensitivity_at(sample)['90']
  assert (entry['value'], entry['reason']) == (None, 'no image is positive')
