"""What an evaluation fitted on a run's validation split, read back for other images."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax.evaluation.calibration.conformal import Conformal
from lesionjax.runs import run_directory


def read_temperature(run_dir: epath.PathLike) -> float | None:
  """What a run's logits are divided by before the softmax, so that probabilities are calibrated.

  Args:
    run_dir: of the run.

  Returns:
    Within .05 and 20; 1 where none could be fitted; None where the run has no calibration.json.

  Raises:
    UserError: the file is damaged.
  """
  found = read(run_dir, 'calibration.json')
  return None if found is None else float(_entry(run_dir, 'calibration.json', found, 'temperature'))


def read_conformal(run_dir: epath.PathLike) -> Conformal | None:
  """The prediction sets of a run: `sets(probabilities)` takes calibrated ones.

  Args:
    run_dir: of the run.

  Returns:
    The thresholds of all classes; None where the run has no conformal.json.

  Raises:
    UserError: the file is damaged.
  """
  name = 'conformal.json'
  found = read(run_dir, name)
  if found is None:
    return None
  classes = _entry(run_dir, name, found, 'classes')
  try:
    limits = [entry['threshold'] for entry in classes.values()]
    cases = [entry['cases'] for entry in classes.values()]
  except (AttributeError, KeyError, TypeError) as error:
    raise _damaged(run_dir, name, error) from error
  return Conformal(
    tuple(classes),
    float(_entry(run_dir, name, found, 'coverage')),
    np.array([np.inf if limit is None else limit for limit in limits]),
    np.array(cases),
  )


def read(run_dir: epath.PathLike, name: str) -> dict[str, Any] | None:
  """The content of a JSON file of a run; None where it has none.

  Raises:
    UserError: the file is damaged.
  """
  path = run_directory.locate(run_dir) / name
  if not path.exists():
    return None
  try:
    return json.loads(path.read_text())
  except ValueError as error:
    raise _damaged(run_dir, name, error) from error


def _entry(run_dir: epath.PathLike, name: str, found: Any, key: str) -> Any:
  try:
    return found[key]
  except (KeyError, TypeError) as error:
    raise _damaged(run_dir, name, error) from error


def _damaged(run_dir: epath.PathLike, name: str, error: Exception) -> UserError:
  return UserError(
    f'{run_directory.locate(run_dir) / name} cannot be read ({error}): evaluate the run again with'
    ' --mode=evaluate.'
  )
