"""Decision curve: what referring by a model is worth, beside referring all and referring none.

Net benefit at the threshold probability t is tp / n - fp / n * t / (1 - t): true positives less
false alarms, which weigh t / (1 - t) because who refers from a risk t on holds a miss for
(1 - t) / t times as bad as a false alarm. Referring none is worth 0.

Source: Vickers and Elkin, Decision curve analysis, Medical Decision Making 26 (2006), equation in
"Decision curve analysis", step 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionjax.evaluation.operating.rates import Sample

PERCENTS = tuple(range(1, 100))
"""Threshold probabilities of the curve, in percent."""


def net_benefit(sample: Sample) -> dict[str, Any]:
  """The decision curve of a score that is read as a probability.

  Args:
    sample: scored images, scores in 0..1. A score that is no calibrated probability is treated as
      if it were: the curve then shows what believing it costs.

  Returns:
    Lists over the threshold probabilities: 'threshold' (0..1), 'model', 'low', 'high' (95 %
    bootstrap over groups), 'all' (refer everybody), 'gain' (model less the better of all and none)
    with 'gain_low' and 'gain_high'; 'prevalence'.
  """
  odds = np.array([percent / (100 - percent) for percent in PERCENTS])
  called = [sample.scores >= percent / 100 for percent in PERCENTS]
  tp = sample.per_group(*(sample.truth & each for each in called))  # [G, T]
  fp = sample.per_group(*(~sample.truth & each for each in called))
  kinds = sample.per_group(sample.truth, ~sample.truth)
  worth, counts = tp - fp * odds, np.column_stack([kinds[:, 0:1] - kinds[:, 1:2] * odds, kinds])

  def curves(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Model and refer-all [R, T] under weights [R, G]."""
    both = weights @ counts
    total = both[:, -2:].sum(1, keepdims=True)
    return weights @ worth / total, both[:, :-2] / total

  model, refer_all = (curve[0] for curve in curves(np.ones((1, len(tp)))))
  drawn, drawn_all = curves(sample.real_weights)
  gain, drawn_gain = model - np.maximum(refer_all, 0), drawn - np.maximum(drawn_all, 0)
  low, high = _limits(drawn)
  gain_low, gain_high = _limits(drawn_gain)
  return {
    'threshold': [percent / 100 for percent in PERCENTS],
    'model': model.tolist(),
    'low': low,
    'high': high,
    'all': refer_all.tolist(),
    'gain': gain.tolist(),
    'gain_low': gain_low,
    'gain_high': gain_high,
    'prevalence': float(sample.truth.mean()),
  }


def _limits(drawn: np.ndarray) -> tuple[list[float], list[float]]:
  """2.5 and 97.5 percentiles of every column."""
  low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
  return low.tolist(), high.tolist()
