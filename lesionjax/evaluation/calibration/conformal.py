"""Prediction sets with a guaranteed coverage in every class: class-conditional split conformal.

The score of an image is 1 - p_y, one minus the probability of a class. Of each class the
calibration cases of that class give a threshold, the ceil((n + 1) (1 - alpha)) / n quantile of
their scores (1 - alpha is the coverage, n the number of cases); a class is in the set of a new image
when its score is at most that threshold. A new case of the class then has its own class in its set
with a probability of at least 1 - alpha, whatever the classifier: Vovk, Gammerman and Shafer,
Algorithmic Learning in a Random World, 2005, section 4.5 (Mondrian predictors); Angelopoulos and
Bates, A Gentle Introduction to Conformal Prediction, arXiv 2107.07511, sections 1 and 3.2.

The guarantee needs cases that are exchangeable. Images of one lesion are not: they are alike, and
lesions with many images would count as many independent cases. One image of each lesion, drawn at
random, makes the cases exchangeable again (Dunn, Wasserman and Ramdas, Distribution-Free Prediction
Sets for Two-Layer Hierarchical Models, JASA 118 (2023), 'subsampling once'). It costs cases, and
the coverage that is guaranteed is that of a random image of a new lesion.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from data_builders.errors import UserError

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
  names, index = np.unique(np.asarray(groups), return_inverse=True)
  pairs = np.stack([index[order], np.asarray(labels)[order]], 1)
  _, first = np.unique(pairs, axis=0, return_index=True)
  return np.sort(order[first])
