"""The report's section on calibration: reliability, prediction sets, the worth of abstaining."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from data_builders.errors import UserError
from lesionjax.report import abstention, figures_calibration, tables
from lesionjax.report.abstention import percent
from lesionjax.report.figures import Plot, class_colour
from lesionjax.report.run_files import Run, number, read_json

FILES = ('calibration.json', 'conformal.json', 'selective.json')
_VALUES = {
  'ece': 'ECE',
  'ece_of_chance': 'ECE by chance',
  'classwise_ece': 'Class-wise ECE',
  'brier': 'Brier score',
  'log_loss': 'Log loss',
}
_STATES = {'before': 'as the network states them', 'after': 'divided by the temperature'}


def plots(run: Run) -> list[Plot]:
  """Reliability before and after, of the positive probability, and risk over coverage."""
  return _guarded(run, _plots) or []


def context(run: Run) -> dict[str, Any] | None:
  """What the template shows; None where the run has no calibration.json.

  Raises:
    UserError: one of the files is damaged.
  """
  return _guarded(run, _context)


def _guarded(run: Run, make: Callable[..., Any]) -> Any:
  """What is made of the three files; None without the first."""
  calibration, sets, referral = (read_json(run.directory / name) for name in FILES)
  if not calibration:
    return None
  try:
    return make(calibration, sets, referral, _split(run, calibration))
  except (KeyError, TypeError, AttributeError, IndexError, StopIteration) as error:
    raise UserError(
      f'{", ".join(FILES)} in {run.directory} do not fit together ({error}): write them again with'
      ' --mode=evaluate.'
    ) from error


def _split(run: Run, content: Mapping[str, Any]) -> str:
  """The measured split that the page is about."""
  measured = content['splits']
  return next((name for name in run.splits if name in measured), next(iter(measured)))


def _plots(
  calibration: dict[str, Any], sets: dict[str, Any], referral: dict[str, Any], split: str
) -> list[Plot]:
  del sets
  measured = calibration['splits'][split]
  found = [
    figures_calibration.reliability_plot(
      f'reliability_{state}_{split}',
      f'Reliability, {words}',
      measured[state]['bins'],
      'confidence (largest probability)',
      'share that is right',
    )
    for state, words in (('before', 'before'), ('after', 'after the temperature'))
  ]
  positive = measured['after'].get('positive')
  if positive:
    name = calibration['positive']['name']
    found.append(
      figures_calibration.reliability_plot(
        f'reliability_positive_{split}',
        f'Reliability of the probability of {name}',
        positive['bins'],
        f'stated probability of {name}',
        f'share that is {name}',
      )
    )
  area = referral.get('splits', {}).get(split, {}).get('risk_coverage')
  if area:
    found.append(figures_calibration.risk_plot(split, area))
  return found


def _context(
  calibration: dict[str, Any], sets: dict[str, Any], referral: dict[str, Any], split: str
) -> dict[str, Any]:
  measured = calibration['splits'][split]
  fitted_on = calibration['fitted_on']
  return {
    'title': _title(measured['after']['values'], split),
    'sentences': _sentences(calibration, measured, split),
    'problems': [*filter(None, [calibration['reason'], _same(fitted_on, split)])],
    'split': split,
    'reliability': 2 + bool(measured['after'].get('positive')),  # figures; risk comes after them
    'columns': list(_VALUES.values()),
    'rows': [
      {
        'title': name,
        'state': words,
        'images': _count(values[state]['values']['ece']['n']),
        'cells': [tables.cell(values[state]['values'].get(key)) | {'n': ''} for key in _VALUES],
      }
      for name, values in sorted(calibration['splits'].items(), key=lambda item: item[0] != split)
      for state, words in _STATES.items()
    ],
    'sets': _sets(sets, split) if split in sets.get('splits', {}) else None,
    'abstention': abstention.told(referral, split) if split in referral.get('splits', {}) else None,
  }


def _title(values: Mapping[str, Any], split: str) -> str:
  error, chance = number(values['ece']['value']), values['ece_of_chance']
  if error <= number(chance['high']):
    return f'Probabilities can be taken at their word: calibration error {error:.3f} on {split}'
  return f'Probabilities are off by {error:.3f} on average on {split}'


def _sentences(
  calibration: Mapping[str, Any], measured: Mapping[str, Any], split: str
) -> list[str]:
  before, after = (measured[state]['values'] for state in ('before', 'after'))
  told = [
    f'The expected calibration error, the gap between confidence and the share that is right, is'
    f' {_beside_chance(after)} on as many images of {split}.'
  ]
  if calibration['fitted']:
    on = calibration['fitted_on']
    told.append(
      f'As the network states them it is {number(before["ece"]["value"]):.3f}:'
      f' {_confidence(number(calibration["temperature"]))}. The temperature was fitted on'
      f' {_count(on["images"])} images of {_count(on["groups"])} lesions or patients'
      f' ({on["split"]}) and is applied unchanged.'
    )
  positive = measured['after'].get('positive')
  if positive:
    told.append(
      f'Of the probability of {calibration["positive"]["name"]}'
      f' ({", ".join(calibration["positive"]["classes"])}) the error is'
      f' {_beside_chance(positive["values"])}.'
    )
  return told


def _beside_chance(values: Mapping[str, Any]) -> str:
  error, chance = number(values['ece']['value']), values['ece_of_chance']
  low, high = number(chance['low']), number(chance['high'])
  where = 'within' if error <= high else 'above'
  return (
    f'{error:.3f}, {where} the {low:.3f} to {high:.3f} that a perfectly calibrated network shows by'
    ' chance'
  )


def _confidence(temperature: float) -> str:
  """What a temperature says of the network."""
  if abs(temperature - 1) < 0.05:
    return f'a temperature of {temperature:.3g} changes next to nothing'
  kind = 'over-confident' if temperature > 1 else 'under-confident'
  return f'it is {kind}, and its logits are divided by a temperature of {temperature:.3g}'


def _same(fitted_on: Mapping[str, Any] | None, split: str) -> str:
  if not fitted_on or fitted_on['split'] != split:
    return ''
  return (
    f'Temperature, thresholds of the sets and cuts of referral were fitted on {split} itself, as'
    ' the protocol has no validation split of its own: what follows flatters them.'
  )


def _sets(sets: Mapping[str, Any], split: str) -> dict[str, Any]:
  """Coverage and size of the prediction sets."""
  found, classes = sets['splits'][split], sets['classes']
  promised = number(sets['coverage'])
  sentences = [
    f'Each image gets a set of classes that shall hold the true one in {100 * promised:g} % of the'
    f' images of every class. On {split} it does in {percent(found["coverage"])}; a set has'
    f' {number(found["size"]["value"]):.1f} classes on average, {percent(found["single"])} have'
    f' one and {percent(found["empty"])} none.',
    *_lowest(found['classes'], classes),
  ]
  return {
    'sentences': sentences,
    'always': [entry['reason'] for entry in classes.values() if entry['reason']],
    'rows': [
      {
        'name': name,
        'colour': class_colour(index),
        'coverage': tables.cell(found['classes'][name]['coverage']),
        'size': _size(found['classes'][name]['size']),
        'from': 'always' if entry['threshold'] is None else f'{1 - number(entry["threshold"]):.3f}',
        'cases': _count(entry['cases']),
        'likely': _range(entry['likely_coverage']),
      }
      for index, (name, entry) in enumerate(classes.items())
    ],
    'sizes': [
      (index, f'{count:,}') for index, count in enumerate(found['sizes']) if count or index
    ],
  }


def _lowest(measured: Mapping[str, Any], classes: Mapping[str, Any]) -> list[str]:
  """The class that is covered least, beside what its calibration cases can give."""
  known = {
    name: number(entry['coverage']['value'])
    for name, entry in measured.items()
    if entry['coverage']['value'] is not None and not classes[name]['reason']
  }
  if not known:
    return []
  lowest = min(known, key=lambda name: known[name])
  entry, likely = measured[lowest]['coverage'], classes[lowest]['likely_coverage']
  short = number(entry['high']) < number(likely[0])
  return [
    f'The lowest coverage of a class is {percent(entry)}, of {lowest};'
    f' {"that is less than" if short else "its interval reaches"} what'
    f' {_count(classes[lowest]["cases"])} calibration cases can give, {_range(likely)}.'
  ]


def _range(limits: list[float] | None) -> str:
  return f'{number(limits[0]):.3f} to {number(limits[1]):.3f}' if limits else ''


def _size(entry: Mapping[str, Any]) -> dict[str, Any]:
  """A mean number of classes: no share, so no track."""
  return tables.cell(entry) | {'strip': None}


def _count(value: Any) -> str:
  return f'{number(value):,.0f}'
