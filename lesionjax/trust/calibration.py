"""Calibration, prediction sets and abstention: fitted on validation, measured on the other splits.

A temperature, thresholds of the prediction sets and cuts of referral are fitted on the run's
validation split, and applied unchanged to every other one, and to other data later. The temperature
comes first: sets and cuts are of calibrated probabilities. That it was fitted on the same images
takes the strict guarantee off the sets; one number fitted on hundreds of images shifts their scores
by next to nothing, and the coverage that is measured would show it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lesionjax.evaluation.calibration import conformal, reliability, selective, temperature
from lesionjax.evaluation.calibration.resampling import Groups
from lesionjax.evaluation.operating.positive import Positive, positive_of
from lesionjax.host import files
from lesionjax.trust import fitted
from lesionjax.trust.evaluated import Evaluated

_UNFITTED = (
  'The run has no calibration.json, so that nothing was fitted on its validation split: evaluate it'
  ' on its own data first.'
)


@dataclasses.dataclass(frozen=True)
class _Fit:
  """What is applied to the measured splits."""

  temperature: temperature.Temperature
  sets: conformal.Conformal | None
  cuts: dict[str, list[float | None]] | None  # by 'uncertainty' and 'suspicion'
  fitted_on: dict[str, Any] | None


@dataclasses.dataclass(frozen=True)
class _Part:
  """One split as the measures take it."""

  labels: np.ndarray
  logits: np.ndarray
  probabilities: np.ndarray  # calibrated
  drawn: Groups
  groups: np.ndarray


def write(evaluated: Evaluated) -> None:
  """Writes calibration.json, conformal.json and selective.json into `evaluated.out_dir`.

  Args:
    evaluated: of a classifier.
  """
  positive = positive_of(evaluated.config.evaluate.positive, evaluated.class_names)
  fit = _fit(evaluated, positive) if evaluated.validation else _read(evaluated)
  parts = {name: _part(evaluated, name, fit.temperature.value) for name in evaluated.splits}
  measured = evaluated.measured or list(parts)  # of a publication that tunes on its test split
  out = evaluated.out_dir
  files.write_json(out / 'calibration.json', _calibration(evaluated, fit, parts, positive))
  measured_parts = {name: parts[name] for name in measured}
  if fit.sets is not None:
    files.write_json(out / 'conformal.json', _conformal(fit, fit.sets, measured_parts))
  files.write_json(out / 'selective.json', _selective(fit, measured_parts, positive))


def _part(evaluated: Evaluated, name: str, value: float) -> _Part:
  logits, groups = evaluated.logits(name), evaluated.groups(name)
  drawn = Groups.of(groups, evaluated.config.evaluate.resamples)
  probabilities = temperature.probabilities_of(logits, value)
  return _Part(evaluated.labels(name), logits, probabilities, drawn, groups)


def _fit(evaluated: Evaluated, positive: Positive) -> _Fit:
  """Fits everything on the validation split."""
  name = evaluated.validation
  assert name is not None
  logits, labels, groups = evaluated.logits(name), evaluated.labels(name), evaluated.groups(name)
  found = temperature.fit(logits, labels)
  probabilities = temperature.probabilities_of(logits, found.value)
  settings = evaluated.config.evaluate
  sets = conformal.fit(labels, probabilities, groups, evaluated.class_names, settings.coverage)
  scores = {'uncertainty': _uncertainty(probabilities)}
  if not positive.problem:
    scores['suspicion'] = positive.score(probabilities)
  return _Fit(
    found,
    sets,
    {key: selective.cuts(score) for key, score in scores.items()},
    {'split': name, 'images': len(labels), 'groups': len(np.unique(groups))},
  )


def _read(evaluated: Evaluated) -> _Fit:
  """Reads what an evaluation of the run's own data has fitted."""
  told = fitted.read(evaluated.run_dir, 'calibration.json')
  if told is None:
    return _Fit(temperature.Temperature(1.0, _UNFITTED, False), None, None, None)
  value = fitted.read_temperature(evaluated.run_dir)
  abstention = fitted.read(evaluated.run_dir, 'selective.json') or {}
  return _Fit(
    temperature.Temperature(value or 1.0, str(told.get('reason', '')), bool(told.get('fitted'))),
    fitted.read_conformal(evaluated.run_dir),
    abstention.get('cuts'),
    told.get('fitted_on'),
  )


def _calibration(
  evaluated: Evaluated, fit: _Fit, parts: dict[str, _Part], positive: Positive
) -> dict[str, Any]:
  count = evaluated.config.evaluate.bins
  return {
    'temperature': fit.temperature.value,
    'fitted': fit.temperature.fitted,
    'reason': fit.temperature.reason,
    'fitted_on': fit.fitted_on,
    'bins': count,
    'positive': _told(positive),
    'splits': {
      name: {
        'before': _reliability(part, 1.0, positive, count),
        'after': _reliability(part, fit.temperature.value, positive, count),
      }
      for name, part in parts.items()
    },
  }


def _reliability(part: _Part, value: float, positive: Positive, count: int) -> dict[str, Any]:
  """Measures and bins of one split at one temperature."""
  probabilities = temperature.probabilities_of(part.logits, value)
  losses = temperature.log_losses(part.logits, part.labels, value)
  scores, hits = reliability.top_label(part.labels, probabilities)
  told = {
    'values': reliability.measure(part.labels, probabilities, losses, part.drawn, count),
    'bins': reliability.diagram(scores, hits, part.groups, count),
  }
  if not positive.problem:
    scores, truth = positive.score(probabilities), positive.truth(part.labels)
    told['positive'] = {
      'values': reliability.measure_positive(scores, truth, part.drawn, count),
      'bins': reliability.diagram(scores, truth, part.groups, count),
    }
  return told


def _conformal(fit: _Fit, sets: conformal.Conformal, parts: dict[str, _Part]) -> dict[str, Any]:
  return {
    'coverage': sets.coverage,
    'needed_cases': conformal.needed_cases(sets.coverage),
    'fitted_on': fit.fitted_on,
    'classes': {
      name: {
        'threshold': None if sets.always[index] else sets.thresholds[index],
        'cases': sets.cases[index],
        'likely_coverage': None
        if sets.always[index]
        else conformal.likely_coverage(int(sets.cases[index]), sets.coverage),
        'reason': sets.reason(index),
      }
      for index, name in enumerate(sets.class_names)
    },
    'splits': {
      name: conformal.measure(
        sets.sets(part.probabilities), part.labels, part.drawn, sets.class_names
      )
      for name, part in parts.items()
    },
  }


def _selective(fit: _Fit, parts: dict[str, _Part], positive: Positive) -> dict[str, Any]:
  return {
    'shares': list(selective.REFERRED),
    'cuts': fit.cuts,
    'fitted_on': fit.fitted_on,
    'positive': _told(positive),
    'splits': {
      name: {
        'risk_coverage': selective.risk_coverage(part.labels, part.probabilities, part.drawn),
        'triage': _triage(fit, part, positive),
      }
      for name, part in parts.items()
    },
  }


def _triage(fit: _Fit, part: _Part, positive: Positive) -> dict[str, Any]:
  """Both tables, or the reason why there are none."""
  truth = positive.truth(part.labels)
  reason = positive.problem
  if fit.cuts is None:
    reason = _UNFITTED
  elif not reason and not truth.any():
    reason = f'No image is {positive.name}, so that none can be missed.'
  tables: dict[str, Any] = {'reason': reason, 'uncertainty': None, 'suspicion': None}
  if reason or fit.cuts is None:
    return tables
  called = np.isin(part.probabilities.argmax(axis=1), positive.indices)
  uncertainty, suspicion = _uncertainty(part.probabilities), positive.score(part.probabilities)
  for key, scores, calls in (('uncertainty', uncertainty, called), ('suspicion', suspicion, None)):
    limits = fit.cuts.get(key)
    if limits is not None:
      tables[key] = selective.triage(scores, truth, calls, limits, part.drawn)
  return tables


def _uncertainty(probabilities: np.ndarray) -> np.ndarray:
  return 1 - probabilities.max(axis=1)


def _told(positive: Positive) -> dict[str, Any]:
  return {'name': positive.name, 'classes': list(positive.classes), 'problem': positive.problem}
