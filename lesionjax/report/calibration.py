"""The report's section on calibration: reliability, prediction sets, the worth of abstaining."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from data_builders.errors import UserError
from lesionjax.report import figures_calibration, tables
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
  calibration, sets, abstention = (read_json(run.directory / name) for name in FILES)
  if not calibration:
    return None
  try:
    return make(calibration, sets, abstention, _split(run, calibration))
  except (KeyError, TypeError, AttributeError, IndexError) as error:
    raise UserError(
      f'{", ".join(FILES)} in {run.directory} do not fit together ({error}): write them again with'
      ' --mode=evaluate.'
    ) from error


def _split(run: Run, content: Mapping[str, Any]) -> str:
  """The measured split that the page is about."""
  measured = content['splits']
  return next((name for name in run.splits if name in measured), next(iter(measured)))


def _plots(
  calibration: dict[str, Any], sets: dict[str, Any], abstention: dict[str, Any], split: str
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
  area = abstention.get('splits', {}).get(split, {}).get('risk_coverage')
  if area:
    found.append(figures_calibration.risk_plot(split, area))
  return found


def _context(
  calibration: dict[str, Any], sets: dict[str, Any], abstention: dict[str, Any], split: str
) -> dict[str, Any]:
  measured = calibration['splits'][split]
  fitted_on = calibration['fitted_on']
  return {
    'title': _title(measured['after']['values'], split),
    'sentences': _sentences(calibration, measured, split),
    'problems': [*filter(None, [calibration['reason'], _same(fitted_on, split)])],
    'split': split,
    'columns': list(_VALUES.values()),
    'rows': [
      {
        'title': name,
        'state': words,
        'cells': [tables.cell(values[state]['values'].get(key)) for key in _VALUES],
      }
      for name, values in sorted(calibration['splits'].items(), key=lambda item: item[0] != split)
      for state, words in _STATES.items()
    ],
    'sets': _sets(sets, split) if split in sets.get('splits', {}) else None,
    'abstention': _abstention(abstention, split) if split in abstention.get('splits', {}) else None,
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
  low, high = (number(after['ece_of_chance'][key]) for key in ('low', 'high'))
  error, was = number(after['ece']['value']), number(before['ece']['value'])
  within = 'within' if error <= high else 'above'
  value = number(calibration['temperature'])
  told = [
    f'The expected calibration error, the gap between confidence and the share that is right, is'
    f' {error:.3f} on {split}, {within} the {low:.3f} to {high:.3f} that a perfectly calibrated'
    f' network shows by chance on as many images.'
  ]
  if calibration['fitted']:
    over = 'over-confident' if value > 1 else 'under-confident'
    on = calibration['fitted_on']
    told.append(
      f'Without the temperature {value:.3g} it is {was:.3f}: the network is {over}. The temperature'
      f' was fitted on {_count(on["images"])} images of {_count(on["groups"])} lesions or patients'
      f' ({on["split"]}) and is applied unchanged.'
    )
  return told


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
  known = {
    name: number(entry['coverage']['value'])
    for name, entry in found['classes'].items()
    if entry['coverage']['value'] is not None and not classes[name]['reason']
  }
  share = tables.cell(found['coverage'])
  sentences = [
    f'Each image gets a set of classes that shall hold the true one in {100 * promised:g} % of the'
    f' images of every class. On {split} it does in {_percent(found["coverage"])}; a set has'
    f' {number(found["size"]["value"]):.1f} classes on average, {_percent(found["single"])} have'
    f' one and {_percent(found["empty"])} none.'
  ]
  if known:
    lowest = min(known, key=lambda name: known[name])
    entry = found['classes'][lowest]['coverage']
    short = number(entry['high']) < promised
    sentences.append(
      f'The lowest coverage of a class is {_percent(entry)}, of {lowest}:'
      f' {"below" if short else "its interval holds"} what was promised.'
    )
  return {
    'sentences': sentences,
    'always': [entry['reason'] for entry in classes.values() if entry['reason']],
    'share': share,
    'rows': [
      {
        'name': name,
        'colour': class_colour(index),
        'coverage': tables.cell(found['classes'][name]['coverage']),
        'size': _size(found['classes'][name]['size']),
        'from': 'always' if entry['threshold'] is None else f'{1 - number(entry["threshold"]):.3f}',
        'cases': _count(entry['cases']),
      }
      for index, (name, entry) in enumerate(classes.items())
    ],
    'sizes': [
      (index, f'{count:,}') for index, count in enumerate(found['sizes']) if count or index
    ],
  }


def _abstention(content: Mapping[str, Any], split: str) -> dict[str, Any]:
  """The area under the risk-coverage curve, and both triage tables."""
  found = content['splits'][split]
  area, triage = found['risk_coverage'], found['triage']
  whole = area['curve'][-1]
  half = next(point for point in area['curve'] if point['coverage'] == 0.5)
  sentences = [
    f'Of all images of {split} {100 * number(whole["risk"]):.1f} % get a wrong class, of the more'
    f' certain half {100 * number(half["risk"]):.1f} %. The area under the risk-coverage curve is'
    f' {number(area["aurc"]["value"]):.3f} ({number(area["aurc"]["low"]):.3f} to'
    f' {number(area["aurc"]["high"]):.3f}); the best ranking of as many errors would have'
    f' {number(area["best"]["value"]):.3f}.'
  ]
  positive = content['positive']['name']
  rows = {key: _triage(content['shares'], triage[key]) for key in ('uncertainty', 'suspicion')}
  if rows['suspicion']:
    sentences.append(_finding(content['shares'], triage, positive))
  return {
    'sentences': sentences,
    'reasons': [*filter(None, [area['reason'], triage['reason']])],
    'positive': positive,
    'on': (content['fitted_on'] or {}).get('split', ''),
    **rows,
  }


def _finding(shares: list[float], triage: Mapping[str, Any], positive: str) -> str:
  """'Refer x %, miss y %' for the share in the middle."""
  place = shares.index(0.2) if 0.2 in shares else len(shares) // 2
  suspicion = triage['suspicion'][place]
  told = (
    f'Sending the most suspicious {100 * shares[place]:g} % to a physician'
    f' ({_percent(suspicion["referred"])} here) and the rest home misses'
    f' {_percent(suspicion["missed"])} of the {positive} images'
  )
  if not triage['uncertainty']:
    return told + '.'
  doubtful = triage['uncertainty'][place]
  return told + (
    f'; sending the least certain ones and deciding the rest by the most probable class misses'
    f' {_percent(doubtful["missed"])}, instead of {_percent(triage["uncertainty"][0]["missed"])}'
    ' without referral.'
  )


def _triage(shares: list[float], rows: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
  return [
    {
      'title': f'{100 * share:g} %' if share else 'none',
      'cells': [
        tables.cell(row[key]) for key in ('referred', 'missed', 'missed_of_decided') if key in row
      ],
    }
    for share, row in zip(shares, rows or [], strict=False)
  ]


def _size(entry: Mapping[str, Any]) -> dict[str, Any]:
  """A mean number of classes: no share, so no track."""
  return tables.cell(entry) | {'strip': None}


def _percent(entry: Mapping[str, Any]) -> str:
  """'88.9 % (86.9 to 91.0)'."""
  value, low, high = (100 * number(entry[key]) for key in ('value', 'low', 'high'))
  if value != value:
    return 'an undefined share'
  return f'{value:.1f} %' + (f' ({low:.1f} to {high:.1f})' if low == low else '')


def _count(value: Any) -> str:
  return f'{number(value):,.0f}'
