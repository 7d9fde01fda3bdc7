"""How far stated probabilities are from frequencies: reliability diagram, ECE, Brier score.

Notation: N images, K classes, p [N, K]; the confidence of an image is its largest probability, its
hit whether that class is the true one.

    ece            sum over bins b of n_b / N * |hits / n_b - mean confidence of b|: expected
                   calibration error of the top label (Guo et al., On Calibration of Modern Neural
                   Networks, ICML 2017, eq. 3), with bins of equal mass instead of equal width
                   (Nguyen and O'Connor, EMNLP 2015; Nixon et al., CVPR Workshops 2019), since
                   almost all images lie in a few bins of equal width
    classwise_ece  the same of every class, p_k against the frequency of k, averaged over the K
                   classes (Kull et al., Beyond temperature scaling, NeurIPS 2019, eq. 3)
    brier          mean over images of the sum over classes of (p_k - y_k)^2, 0..2 (Brier, Monthly
                   Weather Review 78, 1950); of one probability (p - y)^2, 0..1
    log_loss       mean of -log(p of the true class), in nats

Chance alone raises a calibration error, the more so the fewer images a bin holds, so beside it
stands what a perfectly calibrated classifier of the same confidences would show.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionjax.evaluation.calibration.resampling import Groups, interval
from lesionjax.evaluation.intervals import Interval, wilson

_CHANCE_DRAWS = 200


def bins_of(scores: np.ndarray, count: int) -> np.ndarray:
  """Puts scores into bins of equal mass, equal scores into one bin.

  Sorted scores are cut after round(b N / count) of them, b = 1..count-1; a cut between equal scores
  moves behind the last of them, so there may be fewer bins.

  Args:
    scores: float [N].
    count: of bins, at most.

  Returns:
    int [N], 0.. from the lowest scores on; every number up to the largest occurs.
  """
  order = np.argsort(scores, kind='stable')
  ranked = np.asarray(scores)[order]
  cuts = np.round(np.arange(1, count) * len(ranked) / count).astype(int)
  cuts = cuts[(cuts > 0) & (cuts < len(ranked))]
  cuts = np.unique(np.searchsorted(ranked, ranked[cuts - 1], side='right'))
  cuts = cuts[cuts < len(ranked)]
  bins = np.empty(len(ranked), np.int64)
  bins[order] = np.searchsorted(cuts, np.arange(len(ranked)), side='right')
  return bins


def diagram(
  scores: np.ndarray, hits: np.ndarray, groups: np.ndarray, count: int
) -> list[dict[str, Any]]:
  """The bins of a reliability diagram.

  Args:
    scores: float [N], stated probabilities.
    hits: bool [N], whether what they were stated of is true.
    groups: [N] ids of lesions or patients.
    count: of bins.

  Returns:
    One dictionary a bin: confidence (mean score), frequency (share of hits), low and high (Wilson's
    95 % interval of it with the number of groups as sample size), images, groups.
  """
  bins, hits, groups = bins_of(scores, count), np.asarray(hits), np.asarray(groups)
  found = []
  for number in range(bins.max() + 1):
    rows = bins == number
    frequency, cases = float(hits[rows].mean()), len(np.unique(groups[rows]))
    low, high = wilson(frequency, cases)
    found.append(
      {
        'confidence': float(np.mean(np.asarray(scores)[rows], dtype=np.float64)),
        'frequency': frequency,
        'low': low,
        'high': high,
        'images': int(rows.sum()),
        'groups': cases,
      }
    )
  return found


def top_label(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Confidence, float [N], and hits, bool [N]."""
  return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def errors(scores: np.ndarray, hits: np.ndarray, count: int, drawn: Groups) -> np.ndarray:
  """Calibration error of one probability under every resample, float [R]; bins stay the sample's.

  Args:
    scores: float [N].
    hits: bool [N], or float for expected ones.
    count: of bins.
    drawn: the resamples.
  """
  bins = bins_of(scores, count)
  gaps = np.zeros((len(scores), bins.max() + 1))
  gaps[np.arange(len(scores)), bins] = np.asarray(hits, np.float64) - scores
  sizes = drawn.sums(np.ones(len(scores)))
  return np.abs(drawn.sums(gaps)).sum(axis=1) / sizes


def squares(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
  """Brier score of every image, float [N]."""
  truth = np.zeros(probabilities.shape)
  truth[np.arange(len(labels)), labels] = 1
  return ((probabilities - truth) ** 2).sum(axis=1)


def measure(
  labels: np.ndarray, probabilities: np.ndarray, losses: np.ndarray, drawn: Groups, count: int
) -> dict[str, Interval]:
  """Every number of the module's table with its interval.

  Args:
    labels: int [N].
    probabilities: float [N, K].
    losses: float [N], log loss of every image.
    drawn: the resamples.
    count: of bins.

  Returns:
    By name {'value', 'low', 'high', 'n'}; `ece_of_chance` is the mean error of a perfectly
    calibrated classifier with these confidences, within which 95 % of its draws lie.
  """
  scores, hits = top_label(labels, probabilities)
  by_class = [
    errors(probabilities[:, index], labels == index, count, drawn)
    for index in range(probabilities.shape[1])
  ]
  n = len(labels)
  return {
    'ece': interval(errors(scores, hits, count, drawn), n, basic=True),
    'ece_of_chance': chance(scores, drawn, count),
    'classwise_ece': interval(np.mean(by_class, axis=0), n, basic=True),
    'brier': interval(drawn.means(squares(labels, probabilities)), n),
    'log_loss': interval(drawn.means(losses), n),
  }


def measure_positive(
  scores: np.ndarray, truth: np.ndarray, drawn: Groups, count: int
) -> dict[str, Interval]:
  """Calibration error and Brier score of one probability against what came true.

  Args:
    scores: float [N].
    truth: bool [N].
    drawn: the resamples.
    count: of bins.
  """
  return {
    'ece': interval(errors(scores, truth, count, drawn), len(scores), basic=True),
    'ece_of_chance': chance(scores, drawn, count),
    'brier': interval(drawn.means((scores - truth) ** 2), len(scores)),
  }


def chance(scores: np.ndarray, drawn: Groups, count: int, seed: int = 0) -> Interval:
  """Calibration error that a perfectly calibrated classifier shows by chance.

  Hits are drawn with the stated probability (consistency resampling: Broecker and Smith, Weather
  and Forecasting 22, 2007), the images of a group by one random number: they are right or wrong
  together.

  Args:
    scores: float [N].
    drawn: whose groups.
    count: of bins.
    seed: of the draws.

  Returns:
    value: the mean; low and high: 2.5 and 97.5 percentiles of the draws.
  """
  rng = np.random.default_rng(seed)
  bins = bins_of(scores, count)
  found = []
  for _ in range(_CHANCE_DRAWS):
    hits = rng.random(len(drawn))[drawn.index] < scores
    found.append(np.abs(np.bincount(bins, hits - scores)).sum() / len(scores))
  low, high = np.quantile(found, [0.025, 0.975])
  return {'value': float(np.mean(found)), 'low': float(low), 'high': float(high), 'n': len(scores)}
