"""What the runs fitted on their validation split, for one run or for the mean of several."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.evaluation import operating
from lesionjax.evaluation.calibration import conformal
from lesionjax.evaluation.calibration.conformal import Conformal
from lesionjax.evaluation.operating.positive import Positive, positive_of
from lesionjax.predicting.network import average
from lesionjax.report.run_files import read_npz
from lesionjax.runs import run_directory
from lesionjax.trust.fitted import read_conformal, read_temperature

POINT = 'sensitivity_90'
"""The operating point of thresholds.json that flags an image."""


@dataclasses.dataclass(frozen=True)
class Fitted:
  """What turns probabilities into a flag and a set of classes.

  Attributes:
    positive: which classes count as positive.
    temperatures: of every run; 1 where it has none.
    threshold: an image is flagged where its positive classes' probabilities, as the network gives
      them (temperature 1), add up to at least this; None flags nothing.
    conformal: the prediction sets, of calibrated probabilities; None without.
    notes: what is missing or different, in sentences.
  """

  positive: Positive
  temperatures: tuple[float, ...]
  threshold: float | None
  conformal: Conformal | None
  notes: tuple[str, ...]


def read_fitted(run_dirs: Sequence[str], tta: str = 'none') -> Fitted:
  """Reads what one run has saved; of several, fits it anew to their mean on validation.

  Args:
    run_dirs: the runs, in the order of their members.
    tta: name of the views that are averaged; what is fitted was fitted without.

  Raises:
    UserError: a file of a run is damaged.
  """
  config = run_directory.read_config(run_dirs[0])
  class_names = run_directory.class_names(run_dirs[0])
  positive = positive_of(config.evaluate.positive, class_names)
  known = [read_temperature(run_dir) for run_dir in run_dirs]
  notes = [
    f'{run_dir} has no calibration.json: its probabilities are those of the network, as they are.'
    for run_dir, temperature in zip(run_dirs, known, strict=True)
    if temperature is None
  ]
  temperatures = tuple(1.0 if temperature is None else temperature for temperature in known)
  if len(run_dirs) == 1:
    threshold, why = _saved_threshold(run_dirs[0], positive)
    sets = read_conformal(run_dirs[0])
    if sets is None:
      notes.append(f'{run_dirs[0]} has no conformal.json: there are no sets of classes.')
    elif sets.class_names != class_names:
      raise UserError(
        f'conformal.json of {run_dirs[0]} names other classes: evaluate the run again with'
        ' --mode=evaluate.'
      )
  else:
    threshold, sets, why = _fit_mean(run_dirs, temperatures, positive, config)
  notes += [why] if why else []
  if tta != 'none' and (threshold is not None or sets is not None):
    notes.append(
      f'Threshold and sets were fitted without --tta={tta}: what they promise holds only nearly.'
    )
  return Fitted(positive, temperatures, threshold, sets, tuple(notes))


def _saved_threshold(run_dir: str, positive: Positive) -> tuple[float | None, str]:
  """The threshold of `POINT`, or why there is none."""
  if positive.problem:
    return None, positive.problem
  path = run_directory.locate(run_dir) / 'thresholds.json'
  if not path.exists():
    return None, f'{run_dir} has no thresholds.json: nothing is flagged.'
  content = run_directory.read_json(run_dir, 'thresholds.json', '')
  try:
    if content['positive']['name'] != positive.name:
      return None, f'The thresholds of {run_dir} are of {content["positive"]["name"]}, not used.'
    fitted = content['fitted']
    if POINT not in fitted['points']:
      return None, fitted.get('problem') or f'{path} has no point {POINT}: nothing is flagged.'
    return float(fitted['points'][POINT]['threshold']), ''
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(
      f'{path} cannot be read ({error}): evaluate the run again with --mode=evaluate.'
    ) from error


def _fit_mean(
  run_dirs: Sequence[str], temperatures: Sequence[float], positive: Positive, config: Any
) -> tuple[float | None, Conformal | None, str]:
  """Threshold and sets of the mean of several runs, and why there are none.

  What each has fitted for itself does not hold for their mean, which is less sure and more often
  right.
  """
  name = config.data.validation_split
  file = f'predictions_{name}.npz'
  parts = [
    read_npz(run_directory.locate(run_dir) / file, lambda arrays: dict(arrays))
    for run_dir in run_dirs
  ]
  first = parts[0]
  if first is None or any(part is None for part in parts):
    return None, None, f'A run has no {file}: for their mean no threshold and no sets are known.'
  for part in parts:
    assert part is not None
    if not np.array_equal(part['image_id'], first['image_id']):
      why = f'The runs were validated on different images ({file}): for their mean no threshold'
      return None, None, f'{why} and no sets are known.'
  logits = [part['logits'][None] for part in parts if part is not None]
  labels, class_names = first['label'], tuple(first['class_names'].tolist())
  sets = conformal.fit(
    labels, average(logits, temperatures), first['group_id'], class_names, config.evaluate.coverage
  )
  truth = positive.truth(labels)
  scores = positive.score(average(logits, [1.0] * len(logits)))
  problem = positive.problem or operating.problem(truth, scores, name, positive.name)
  if problem:
    return None, sets, problem
  return operating.fit(truth, scores, config.evaluate.cost_ratio)[POINT], sets, ''
