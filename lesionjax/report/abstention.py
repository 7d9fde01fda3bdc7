"""What the report says of referring doubtful images, from selective.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lesionjax.report import tables
from lesionjax.report.run_files import number


def told(content: Mapping[str, Any], split: str) -> dict[str, Any]:
  """The area under the risk-coverage curve, and both triage tables.

  Args:
    content: selective.json.
    split: a measured one.
  """
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
    f' ({percent(suspicion["referred"])} here) and the rest home misses'
    f' {percent(suspicion["missed"])} of the {positive} images'
  )
  if not triage['uncertainty']:
    return told + '.'
  doubtful = triage['uncertainty'][place]
  return told + (
    f'; sending the least certain ones and deciding the rest by the most probable class misses'
    f' {percent(doubtful["missed"])}, instead of {percent(triage["uncertainty"][0]["missed"])}'
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


def percent(entry: Mapping[str, Any]) -> str:
  """A share with its interval: '88.9 % (86.9 to 91.0)'."""
  value, low, high = (100 * number(entry[key]) for key in ('value', 'low', 'high'))
  if value != value:
    return 'an undefined share'
  return f'{value:.1f} %' + (f' ({low:.1f} to {high:.1f})' if low == low else '')
