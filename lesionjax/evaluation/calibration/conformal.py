"""Prediction sets with a guaranteed coverage in every class: class-conditional split conformal.

The score of an image is 1 - p_y, one minus the probability of a class. Of each class the
calibration cases of that class give a threshold, the ceil((n + 1) (1 - alpha)) / n quantile of
their scores (1 - alpha is the coverage, n the number of cases); a class is in the set of a new
image when its score is at most that threshold. A new case of the class then has its own class in
its set with a probability of at least 1 - alpha, whatever the classifier: Vovk, Gammerman and
Shafer, Algorithmic Learning in a Random World, 2005, section 4.5 (Mondrian predictors);
Angelopoulos and Bates, A Gentle Introduction to Conformal Prediction, arXiv 2107.07511, sections 1
and 3.2.

The guarantee needs cases that are exchangeable. Images of one lesion are not: they are alike, and
lesions with many images would count as many independent cases. One image of each lesion, drawn at
random, makes the cases exchangeable again (Dunn, Wasserman and Ramdas, Distribution-Free Prediction
Sets for Two-Layer Hierarchical Models, JASA 118 (2023), 'subsampling once'). It costs cases, and
the coverage that is guaranteed is that of a random image of a new lesion.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.evaluation.calibration.resampling import Groups, interval, ratio
from lesionjax.evaluation.intervals import Interval

_ROUNDING = 1e-9  # 10 * .9 must not be rounded up to 10


@dataclasses.dataclass(frozen=True)
class Conformal:
  """Prediction sets with a threshold for each class.

  Attributes:
    class_names: K names.
    coverage: 1 - alpha, the share of cases of every class whose set shall hold their class.
    thresholds: float [K]; a class is in the set where 1 - p is at most this. Infinite: always.
    cases: int [K], calibration cases of each class, one a lesion or patient.
  """

  class_names: tuple[str, ...]
  coverage: float
  thresholds: np.ndarray
  cases: np.ndarray

  def sets(self, probabilities: np.ndarray) -> np.ndarray:
    """Which classes are in the set of each image.

    Args:
      probabilities: float [N, K], calibrated as those that the thresholds were fitted on.

    Returns:
      bool [N, K]; a row may be empty: an image unlike the calibration cases of all classes.
    """
    return 1 - np.asarray(probabilities, np.float64) <= self.thresholds

  @property
  def always(self) -> np.ndarray:
    """Bool [K], classes in every set since they had too few calibration cases."""
    return np.isinf(self.thresholds)

  def reason(self, index: int) -> str:
    """Why a class is in every set; '' where it is not."""
    if not self.always[index]:
      return ''
    cases, needed = int(self.cases[index]), needed_cases(self.coverage)
    return (
      f'{cases} calibration {"case" if cases == 1 else "cases"} of {self.class_names[index]}:'
      f' {needed} are needed for a coverage of {100 * self.coverage:g} %, so it is in every set.'
    )


def needed_cases(coverage: float) -> int:
  """The smallest number of cases n with ceil((n + 1) coverage) <= n, which a threshold takes."""
  return math.ceil(coverage / (1 - coverage) - _ROUNDING)


def likely_coverage(cases: int, coverage: float) -> tuple[float, float]:
  """Between which true coverages 95 % of calibration sets of that size end.

  The promise holds on average over calibration sets; the coverage that one of them gives follows
  Beta(k, n + 1 - k), k = ceil((n + 1) (1 - alpha)) (Vovk, Conditional Validity of Inductive
  Conformal Predictors, ACML 2012; Angelopoulos and Bates, section 3.2).

  Args:
    cases: n, at least `needed_cases(coverage)`.
    coverage: 1 - alpha.

  Returns:
    2.5 and 97.5 percentiles, to about .001.
  """
  place = math.ceil((cases + 1) * coverage - _ROUNDING)
  drawn = np.random.default_rng(0).beta(place, cases + 1 - place, 100_000)
  low, high = np.quantile(drawn, [0.025, 0.975])
  return float(low), float(high)


def fit(
  labels: np.ndarray,
  probabilities: np.ndarray,
  groups: np.ndarray,
  class_names: tuple[str, ...],
  coverage: float = 0.9,
  seed: int = 0,
) -> Conformal:
  """Finds the threshold of every class on calibration data.

  Args:
    labels: int [N], 0..K-1.
    probabilities: float [N, K].
    groups: [N] ids; of each group and class one image is drawn, see the module.
    class_names: K names.
    coverage: 1 - alpha, above 0 and below 1.
    seed: of the draw.

  Returns:
    The sets; a class with fewer than `needed_cases(coverage)` cases is in every one.

  Raises:
    UserError: the coverage is none.
  """
  if not 0 < coverage < 1:
    raise UserError(
      f'config.evaluate.coverage={coverage!r} must be above 0 and below 1, such as 0.9.'
    )
  labels = np.asarray(labels)
  rows = one_a_group(labels, groups, seed)
  scores = 1 - np.asarray(probabilities, np.float64)
  thresholds = np.full(len(class_names), np.inf)
  cases = np.zeros(len(class_names), np.int64)
  for index in range(len(class_names)):
    own = np.sort(scores[rows[labels[rows] == index], index])
    cases[index] = len(own)
    place = math.ceil((len(own) + 1) * coverage - _ROUNDING)
    if place <= len(own):
      thresholds[index] = own[place - 1]
  return Conformal(tuple(class_names), coverage, thresholds, cases)


def one_a_group(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
  """Rows, one drawn of each pair of group and label: a patient may have several lesions.

  Args:
    labels: int [N].
    groups: [N] ids.
    seed: of the draw.

  Returns:
    int [M], sorted.
  """
  order = np.random.default_rng(seed).permutation(len(labels))
  _, index = np.unique(np.asarray(groups), return_inverse=True)
  pairs = np.stack([index[order], np.asarray(labels)[order]], 1)
  _, first = np.unique(pairs, axis=0, return_index=True)
  return np.sort(order[first])


def measure(
  sets: np.ndarray, labels: np.ndarray, drawn: Groups, class_names: tuple[str, ...]
) -> dict[str, Any]:
  """How often the sets hold the true class, and how large they are.

  Args:
    sets: bool [N, K], from `Conformal.sets`.
    labels: int [N].
    drawn: resamples of the lesions or patients.
    class_names: K names.

  Returns:
    coverage, size (classes in a set), single and empty (shares of sets with one class and with
    none), all as {'value', 'low', 'high', 'n'}; sizes: how many sets have 0, 1, ... K classes;
    classes: by name coverage and size of the sets of its images.
  """
  held = sets[np.arange(len(labels)), labels]
  size = sets.sum(axis=1)
  everything = np.ones(len(labels), bool)
  return {
    'coverage': _share(held, everything, drawn),
    'size': _mean(size, everything, drawn),
    'single': _share(size == 1, everything, drawn),
    'empty': _share(size == 0, everything, drawn),
    'sizes': np.bincount(size, minlength=len(class_names) + 1).tolist(),
    'classes': {
      name: {
        'coverage': _share(held, labels == index, drawn),
        'size': _mean(size, labels == index, drawn),
      }
      for index, name in enumerate(class_names)
    },
  }


def _share(flags: np.ndarray, rows: np.ndarray, drawn: Groups) -> Interval:
  values = ratio(drawn.sums(flags & rows), drawn.sums(rows))
  return interval(values, int(rows.sum()), drawn.count(rows))


def _mean(numbers: np.ndarray, rows: np.ndarray, drawn: Groups) -> Interval:
  return interval(ratio(drawn.sums(numbers * rows), drawn.sums(rows)), int(rows.sum()))
