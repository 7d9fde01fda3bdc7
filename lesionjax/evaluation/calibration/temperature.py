"""Temperature scaling: logits divided by one number, so that confidence becomes frequency.

Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
The predicted class stays what it was.
"""

from __future__ import annotations

import dataclasses

import numpy as np

BOUNDS = (0.05, 20.0)
_HALVINGS = 60  # of an interval of 6 in log T: to the last digit
_FLAT = 1e-12  # a slope below this is none


@dataclasses.dataclass(frozen=True)
class Temperature:
  """The outcome of a fit.

  Attributes:
    value: T, what logits are divided by.
    reason: one sentence where T is a bound, or 1 since none could be fitted; '' otherwise.
    fitted: whether the data say what T is, within the bounds.
  """

  value: float
  reason: str = ''
  fitted: bool = True


def probabilities_of(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
  """Softmax of logits / T.

  Args:
    logits: float [N, K].
    temperature: T.

  Returns:
    float64 [N, K], rows sum to 1.
  """
  scaled = np.asarray(logits, np.float64) / temperature
  scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
  return scaled / scaled.sum(axis=1, keepdims=True)


def log_losses(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> np.ndarray:
  """-log of the probability of the true class, in nats, float64 [N]; see `probabilities_of`."""
  scaled = np.asarray(logits, np.float64) / temperature
  scaled -= scaled.max(axis=1, keepdims=True)
  true = scaled[np.arange(len(scaled)), labels]
  return np.log(np.exp(scaled).sum(axis=1)) - true


def fit(logits: np.ndarray, labels: np.ndarray) -> Temperature:
  """Finds the temperature with the lowest mean log loss.

  The loss is convex in 1 / T, so in log T it falls, then rises: bisection on the sign of its slope
  finds the one minimum.

  Args:
    logits: float [N, K], of images that the network has not learned from.
    labels: int [N], 0..K-1.

  Returns:
    T within `BOUNDS`.
  """
  logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
  if len(np.unique(labels)) < 2:
    return Temperature(
      1.0,
      'The validation split holds images of one class only, so no temperature can be fitted: it'
      ' stays 1.',
      False,
    )
  low, high = np.log(BOUNDS)
  slopes = [_slope(logits, labels, edge) for edge in (low, high)]
  if max(map(abs, slopes)) < _FLAT:
    reason = 'The logits of all classes are the same, so a temperature changes nothing: it stays 1.'
    return Temperature(1.0, reason, False)
  if slopes[0] >= 0 or slopes[1] <= 0:
    bound = BOUNDS[0] if slopes[0] >= 0 else BOUNDS[1]
    way = 'lower' if slopes[0] >= 0 else 'higher'
    reason = (
      f'The temperature is at the bound of its range, {bound:g}: log loss asks for a {way} one.'
    )
    return Temperature(bound, reason, False)
  for _ in range(_HALVINGS):
    middle = (low + high) / 2
    if _slope(logits, labels, middle) < 0:
      low = middle
    else:
      high = middle
  return Temperature(float(np.exp((low + high) / 2)))


def _slope(logits: np.ndarray, labels: np.ndarray, log_temperature: float) -> float:
  """Slope of the mean log loss in log T: (true logit - its expectation) / T, averaged."""
  temperature = float(np.exp(log_temperature))
  expected = (probabilities_of(logits, temperature) * logits).sum(axis=1)
  return float((logits[np.arange(len(logits)), labels] - expected).mean() / temperature)
