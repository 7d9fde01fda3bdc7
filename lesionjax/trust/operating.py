"""thresholds.json: operating points fitted on validation, applied unchanged to what is measured."""

from __future__ import annotations

import json
from typing import Any

from data_builders.errors import UserError
from lesionjax.evaluation import operating
from lesionjax.host import files
from lesionjax.trust.evaluated import Evaluated

FILE = 'thresholds.json'

_ON_TEST = (
  'Chosen on the images they are measured on, as the publication did: these numbers are too good,'
  ' and stand here only to be compared with its claim.'
)


def write(evaluated: Evaluated) -> None:
  """Writes thresholds.json.

  Fitted on the validation split; on other data those of the run are read and applied unchanged.
  Under the published protocol thresholds that were chosen on the test split itself are added and
  marked so.

  Args:
    evaluated: a classifier's outputs.

  Raises:
    UserError: `config.evaluate.positive` names no class, or the run's thresholds.json is damaged.
  """
  fitted, positive = _fitted(evaluated)
  points = {name: point['threshold'] for name, point in fitted['points'].items()}
  samples = {name: _sample(evaluated, positive, name) for name in evaluated.measured}
  content: dict[str, Any] = {
    'positive': {
      'name': positive.name,
      'classes': list(positive.classes),
      'unknown': list(positive.unknown),
      'problem': positive.problem or None,
    },
    'rule': "positive where the sum of the positive classes' probabilities >= threshold",
    'cost_ratio': fitted.pop('cost_ratio'),
    'fitted': fitted,
    'splits': {name: _measured(sample, points, positive) for name, sample in samples.items()},
  }
  test = evaluated.config.data.test_split
  if evaluated.published and test in samples:
    content['tuned_on_test'] = _tuned_on_test(evaluated, samples[test], test, positive)
  files.write_json(evaluated.out_dir / FILE, content)


def _fitted(evaluated: Evaluated) -> tuple[dict[str, Any], operating.Positive]:
  """What the thresholds are and what they were fitted on, and what they call positive."""
  if evaluated.validation is None:
    return _read(evaluated)
  positive = operating.positive_of(evaluated.config.evaluate.positive, evaluated.class_names)
  sample = _sample(evaluated, positive, evaluated.validation)
  cost_ratio = float(evaluated.config.evaluate.cost_ratio)
  fitted = _fit(sample, evaluated.validation, positive, cost_ratio)
  return fitted | {'cost_ratio': cost_ratio}, positive


def _fit(
  sample: operating.Sample, split: str, positive: operating.Positive, cost_ratio: float
) -> dict[str, Any]:
  """Thresholds and what they reach where they are fitted; none, and why, where that cannot be."""
  problem = positive.problem or operating.problem(sample.truth, sample.scores, split, positive.name)
  points = {} if problem else operating.fit(sample.truth, sample.scores, cost_ratio)
  return {
    'on': split,
    **_size(sample),
    'problem': problem or None,
    'points': {
      name: {'threshold': threshold, **_reached(sample, threshold)}
      for name, threshold in points.items()
    },
  }


def _reached(sample: operating.Sample, threshold: float) -> dict[str, float]:
  called = sample.scores >= threshold
  return {
    'sensitivity': float(called[sample.truth].mean()),
    'specificity': float((~called[~sample.truth]).mean()),
  }


def _read(evaluated: Evaluated) -> tuple[dict[str, Any], operating.Positive]:
  """The thresholds of the run itself, for data that have no validation split."""
  path, name = evaluated.run_dir / FILE, evaluated.config.evaluate.positive
  cost_ratio = float(evaluated.config.evaluate.cost_ratio)
  if not path.exists():
    problem = (
      f'The run has no {FILE}: evaluate it on its own data first (--mode=evaluate without'
      ' --eval_data), which fits the thresholds.'
    )
    fitted = {'on': None, 'problem': problem, 'points': {}, 'cost_ratio': cost_ratio}
    return fitted, operating.positive_of(name, evaluated.class_names)
  try:
    content = json.loads(path.read_text())
    fitted, name = dict(content['fitted']), content['positive']['name']
    cost_ratio = float(content['cost_ratio'])
    if not all(isinstance(point['threshold'], float) for point in fitted['points'].values()):
      raise ValueError('a threshold is no number')
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise UserError(
      f'{path} cannot be read ({error}): restore it, or write it again with --mode=evaluate.'
    ) from error
  return fitted | {'cost_ratio': cost_ratio}, operating.positive_of(name, evaluated.class_names)


def _sample(evaluated: Evaluated, positive: operating.Positive, split: str) -> operating.Sample:
  return operating.Sample.of(
    positive.truth(evaluated.labels(split)),
    positive.score(evaluated.probabilities(split)),
    evaluated.groups(split),
    evaluated.config.evaluate.resamples,
  )


def _size(sample: operating.Sample) -> dict[str, int]:
  return {
    'images': len(sample.truth),
    'groups': sample.weights.shape[1],
    'positives': int(sample.truth.sum()),
  }


def _measured(
  sample: operating.Sample, points: dict[str, float], positive: operating.Positive
) -> dict[str, Any]:
  """What the thresholds do to a split they were not fitted on."""
  measured = {name: operating.measure(sample, threshold) for name, threshold in points.items()}
  found: dict[str, Any] = {**_size(sample), 'points': measured}
  if not positive.problem and len(sample.truth):
    found['sensitivity_at_specificity'] = operating.sensitivity_at(sample)
    found['net_benefit'] = operating.net_benefit(sample)
  return found


def _tuned_on_test(
  evaluated: Evaluated, sample: operating.Sample, split: str, positive: operating.Positive
) -> dict[str, Any]:
  """Thresholds chosen and measured on the same images."""
  cost_ratio = float(evaluated.config.evaluate.cost_ratio)
  fitted = _fit(sample, split, positive, cost_ratio)
  points = {name: point['threshold'] for name, point in fitted['points'].items()}
  return {
    'tuned_on_test': True,
    'note': _ON_TEST,
    'on': split,
    'problem': fitted['problem'],
    **_size(sample),
    'points': {
      name: {'tuned_on_test': True, **operating.measure(sample, threshold)}
      for name, threshold in points.items()
    },
  }
