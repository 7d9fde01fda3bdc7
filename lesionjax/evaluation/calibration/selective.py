"""What is gained when doubtful images are referred to a physician instead of being decided.

Confidence is the largest probability. Coverage is the share of images that the classifier decides,
the most confident ones; risk the share of errors among them. AURC is the area under risk over
coverage: 0 is perfect, the error rate is what a confidence that says nothing has (Geifman and
El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017; Geifman, Uziel and
El-Yaniv, Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, ICLR 2019). Images of the
same confidence are taken in together: the curve is constant between the coverages that exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lesionjax.evaluation.calibration.ranking import Ranking
from lesionjax.evaluation.calibration.resampling import Groups, interval, ratio
from lesionjax.evaluation.intervals import Interval

COVERAGES = tuple(round(0.05 * step, 2) for step in range(1, 21))
REFERRED = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)


def risk_coverage(labels: np.ndarray, probabilities: np.ndarray, drawn: Groups) -> dict[str, Any]:
  """The risk-coverage curve and the area under it.

  Args:
    labels: int [N].
    probabilities: float [N, K].
    drawn: resamples of the lesions or patients.

  Returns:
    aurc and best (the AURC of a confidence that ranks every error last, at the same error rate) as
    {'value', 'low', 'high', 'n'}; curve: for each of `COVERAGES` coverage, risk, low and high, at
    the least coverage there is from that one on; reason: a sentence where the confidence of all
    images is the same, '' otherwise.
  """
  confidence = probabilities.max(axis=1)
  wrong = probabilities.argmax(axis=1) != labels
  n = len(labels)
  areas, risks = [], []
  for taken, lost in Ranking(confidence, drawn).cumulated(np.ones(n), wrong):
    risk = ratio(lost, taken)
    steps = np.diff(taken, axis=1, prepend=0)
    areas.append((np.nan_to_num(risk) * steps).sum(axis=1) / taken[:, -1])
    risks.append(_at(risk, taken / taken[:, -1:]))
  risk = np.concatenate(risks)
  points = [interval(risk[:, place], n, len(drawn)) for place in range(len(COVERAGES))]
  same = confidence.min() == confidence.max()
  return {
    'aurc': interval(np.concatenate(areas), n),
    'best': interval(best_area(drawn.means(wrong)), n),
    'curve': [
      {'coverage': share, 'risk': point['value'], 'low': point['low'], 'high': point['high']}
      for share, point in zip(COVERAGES, points, strict=True)
    ],
    'reason': 'All images have the same confidence, so none is less certain.' if same else '',
  }


def best_area(error_rate: np.ndarray) -> np.ndarray:
  """AURC of the best ranking of many images: r + (1 - r) log(1 - r), r the error rate.

  Geifman, Uziel and El-Yaniv, ICLR 2019, section 3.
  """
  right = 1 - np.asarray(error_rate, np.float64)
  return 1 - right + right * np.log(np.where(right > 0, right, 1))


def _at(risk: np.ndarray, coverage: np.ndarray) -> np.ndarray:
  """Risk [r, T] at the first coverage [r, T] that reaches each of `COVERAGES`: float [r, C]."""
  enough = coverage[:, None, :] >= np.array(COVERAGES)[None, :, None] - 1e-12
  return np.take_along_axis(risk, enough.argmax(axis=2), axis=1)


def cuts(scores: np.ndarray, shares: Sequence[float] = REFERRED) -> list[float | None]:
  """The score from which on images are referred, so that at least a share of these would be.

  Args:
    scores: float [N], of validation; high is what is referred first.
    shares: to be referred, 0..1.

  Returns:
    Of each share a cut; None refers nothing, as a share of 0 asks for.
  """
  ranked = np.sort(np.asarray(scores, np.float64))[::-1]
  found: list[float | None] = []
  for share in shares:
    count = int(np.ceil(share * len(ranked) - 1e-9))
    found.append(float(ranked[count - 1]) if count else None)
  return found


def triage(
  scores: np.ndarray,
  positive: np.ndarray,
  called: np.ndarray | None,
  limits: Sequence[float | None],
  drawn: Groups,
) -> list[dict[str, Any]]:
  """'Refer x %, miss y %', a row a cut.

  Args:
    scores: float [N]; images with a score from the cut on are referred.
    positive: bool [N], which images show what must not be missed.
    called: bool [N], which images the classifier calls positive: of the others it decides, those
      that are positive are missed. None: what is not referred goes home, as when the score is the
      suspicion itself.
    limits: cuts, None refers nothing.
    drawn: resamples of the lesions or patients.

  Returns:
    Of each cut: cut; referred (share of images); missed (share of all positives that are neither
    referred nor called); and with `called` missed_of_decided (share of the positives that are not
    referred); all but the cut as {'value', 'low', 'high', 'n'}.
  """
  rows = []
  for cut in limits:
    referred = np.zeros(len(scores), bool) if cut is None else np.asarray(scores) >= cut
    lost = positive & ~referred & (True if called is None else ~called)
    row = {
      'cut': cut,
      'referred': _share(referred, np.ones(len(scores), bool), drawn),
      'missed': _share(lost, positive, drawn),
    }
    if called is not None:
      row['missed_of_decided'] = _share(lost, positive & ~referred, drawn)
    rows.append(row)
  return rows


def _share(flags: np.ndarray, rows: np.ndarray, drawn: Groups) -> Interval:
  """Share of some of the rows among these."""
  values = ratio(drawn.sums(flags), drawn.sums(rows))
  return interval(values, int(rows.sum()), drawn.count(rows))
