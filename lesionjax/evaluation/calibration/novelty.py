"""Scores that are high for images of classes a network does not know, and how well they tell them.

    energy       -logsumexp of the logits: Liu et al., Energy-based Out-of-distribution Detection,
                 NeurIPS 2020, eq. 4, temperature 1
    max_softmax  1 - the largest probability: Hendrycks and Gimpel, A Baseline for Detecting
                 Misclassified and Out-of-Distribution Examples, ICLR 2017
    distance     smallest squared Mahalanobis distance of the pre-logits to the mean of a class, the
                 covariance shared by all classes: Lee et al., A Simple Unified Framework for
                 Detecting Out-of-Distribution Samples, NeurIPS 2018, eq. 2; shrunk, since there may
                 be fewer images than features (Ledoit and Wolf, Journal of Multivariate Analysis
                 88, 2004)

AUROC is the probability that an unknown image scores higher than a known one, ties count 1/2.
FPR at 95 % TPR is the share of unknown images that are taken for known at the score that accepts
95 % of the known ones (Liu et al., section 4.1): low is good, .95 is guessing.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from lesionjax.evaluation.calibration.ranking import Ranking
from lesionjax.evaluation.calibration.resampling import Groups, interval, ratio
from lesionjax.evaluation.calibration.temperature import probabilities_of
from lesionjax.evaluation.intervals import Interval

ACCEPTED = 0.95  # share of known images


def energy(logits: np.ndarray) -> np.ndarray:
  """Float64 [N] from logits [N, K]; the temperature of calibration has no place in it."""
  logits = np.asarray(logits, np.float64)
  top = logits.max(axis=1)
  return -top - np.log(np.exp(logits - top[:, None]).sum(axis=1))


def max_softmax(logits: np.ndarray) -> np.ndarray:
  """Float64 [N], 0..1, from logits [N, K]."""
  return 1 - probabilities_of(logits).max(axis=1)


@dataclasses.dataclass(frozen=True)
class Distance:
  """Where images of known classes lie in feature space.

  Attributes:
    means: float64 [C, D], of the classes that had images.
    whiten: float64 [D, D]; the squared norm of a difference times it is its Mahalanobis distance.
  """

  means: np.ndarray
  whiten: np.ndarray

  @classmethod
  def fit(cls, features: np.ndarray, labels: np.ndarray) -> Distance:
    """Fits means and the shared, shrunk covariance.

    Args:
      features: float [N, D], pre-logits of known images that the network has not learned from:
        those of its training images lie nearer together than new ones do.
      labels: int [N].
    """
    from sklearn.covariance import ledoit_wolf

    features = np.asarray(features, np.float64)
    classes, index = np.unique(labels, return_inverse=True)
    means = np.stack([features[index == place].mean(axis=0) for place in range(len(classes))])
    covariance, _ = ledoit_wolf(features - means[index], assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    # A feature that is the same in all images must not make any other value infinitely far.
    floor = 1e-10 * values.max() or 1.0
    return cls(means, vectors / np.sqrt(np.maximum(values, floor)))

  def score(self, features: np.ndarray) -> np.ndarray:
    """Float64 [N], smallest squared distance of features [N, D] to a class."""
    ours = np.asarray(features, np.float64) @ self.whiten
    theirs = self.means @ self.whiten
    return np.min([((ours - mean) ** 2).sum(axis=1) for mean in theirs], axis=0)


def measure(scores: np.ndarray, unknown: np.ndarray, drawn: Groups) -> dict[str, Interval]:
  """How well a score tells unknown images from known ones.

  Args:
    scores: float [N], high for unknown.
    unknown: bool [N].
    drawn: resamples of the lesions or patients.

  Returns:
    auroc and fpr_at_95 as {'value', 'low', 'high', 'n'}, n the number of unknown images; undefined
    where there are none of either kind.
  """
  areas, rates = [], []
  for found, wrong in Ranking(scores, drawn).cumulated(unknown, ~unknown):
    areas.append(_area(found, wrong))
    rates.append(_rate(found, wrong))
  n, cases = int(unknown.sum()), drawn.count(unknown)
  return {
    'auroc': interval(np.concatenate(areas), n, cases),
    'fpr_at_95': interval(np.concatenate(rates), n, cases),
  }


def _area(found: np.ndarray, wrong: np.ndarray) -> np.ndarray:
  """ROC area [r] from cumulated unknown and known [r, T] above every cut, by trapezia."""
  steps = np.diff(wrong, axis=1, prepend=0)
  height = found - np.diff(found, axis=1, prepend=0) / 2
  return ratio((steps * height).sum(axis=1), found[:, -1] * wrong[:, -1])


def _rate(found: np.ndarray, wrong: np.ndarray) -> np.ndarray:
  """Share of unknown [r] below the lowest cut that has at least `ACCEPTED` of the known below it.

  Args:
    found: float [r, T], unknown images at or above every cut, from the highest on.
    wrong: float [r, T], known ones.
  """
  called = np.concatenate([np.zeros((len(found), 1)), found], axis=1)
  refused = np.concatenate([np.zeros((len(wrong), 1)), wrong], axis=1)
  allowed = (1 - ACCEPTED) * wrong[:, -1:] * (1 + 1e-9)
  last = (refused <= allowed).sum(axis=1, keepdims=True) - 1
  caught = np.take_along_axis(called, last, axis=1)[:, 0]
  rate = 1 - ratio(caught, found[:, -1])
  return np.where(wrong[:, -1] > 0, rate, np.nan)
