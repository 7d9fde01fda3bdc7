"""The report's section on the stress test of skin tone."""

from __future__ import annotations

from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.report import figures, images, tables
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import Run, number, read_json, read_npz

FILE, ARRAYS = 'toning.json', 'toning.npz'
_SHOWN = ('as it is', 'tone A', 'tone D', 'tone H', 'tone L', 'tone O', 'tone R')
_RATES = {'sensitivity': 'Sensitivity', 'specificity': 'Specificity', 'flips': 'Flips'}


def plots(run: Run) -> list[Plot]:
  """The mean change of the score by tone, and the rates by tone."""
  content = read_json(run.directory / FILE)
  if not content:
    return []
  try:
    return [_change(content), _rates(content)]
  except (KeyError, TypeError) as error:
    raise _damaged(run, error) from error


def context(run: Run) -> dict[str, Any] | None:
  """What the template shows; None where the run was not tested.

  Raises:
    UserError: toning.json is damaged.
  """
  content = read_json(run.directory / FILE)
  if not content:
    return None
  try:
    found = _context(content)
  except (KeyError, TypeError, ValueError) as error:
    raise _damaged(run, error) from error
  shown = read_npz(run.directory / ARRAYS, lambda arrays: arrays['example'])
  found['pictures'] = [
    {'title': title, 'src': images.data_uri(picture)}
    for title, picture in zip(_SHOWN, [] if shown is None else shown, strict=False)
  ]
  return found


def _damaged(run: Run, error: Exception) -> UserError:
  return UserError(
    f'{run.directory / FILE} lacks {error}: write it again with'
    f' python -m lesionjax.trust.toning {run.directory}.'
  )


def _context(content: dict[str, Any]) -> dict[str, Any]:
  by_tone = {entry['tone']: entry for entry in content['tones']}
  known = [entry for entry in content['tones'] if entry['change']['value'] is not None]
  lowest = min(known, key=lambda entry: entry['change']['value'])
  highest = max(known, key=lambda entry: entry['change']['value'])
  most = max(content['tones'], key=lambda entry: number(entry['flips']['value']))
  name, own = content['positive']['name'], content['own']
  point = content['point'].replace('_', ' ≥ ') + ' %' if content['point'] else ''
  threshold = f'{content["threshold"]:.3g}' + (f' ({point} on validation)' if point else '')
  return {
    'sentences': [
      f'With nothing but the skin recoloured, the mean probability of {name} moves from'
      f' {_signed(lowest["change"])} (tone {lowest["tone"]}) to {_signed(highest["change"])} (tone'
      f' {highest["tone"]}), {number(content["range"]):.3f} from end to end.',
      f'At the threshold {threshold}, tone {most["tone"]} changes the call of'
      f' {_percent(most["flips"])} of the images ({most["raised"]} become positive,'
      f' {most["lowered"]} no longer are).',
      'Control: recoloured to the tone nearest to its own, an image changes by'
      f' {_signed(own["change"])} and {_percent(own["flips"])} flip. That much comes from the'
      " palette, whose colours are not this camera's, and not from another tone.",
    ],
    'note': (
      f'{content["images"]:,} images of {content["split"]} ({content["groups"]:,} lesions or'
      f' patients, {content["positives"]:,} positive), the same ones in every tone: differences are'
      ' paired. Intervals: 95 % bootstrap over lesions or patients. A recoloured photograph shows'
      ' what the model reads in the colour of skin; it is no photograph of another patient, whose'
      ' lesion would look different too.' + _skipped(content['skipped'])
    ),
    'rows': [
      _row(f'{letter} ({entry["ita_deg"]:.0f}°)', entry) for letter, entry in by_tone.items()
    ],
    'before': _row('as they are', content['original']),
    'control': _row('own tone', own),
    'rates': list(_RATES.values()),
  }


def _skipped(skipped: dict[str, int]) -> str:
  told = ', '.join(f'{count:,}: {reason}' for reason, count in sorted(skipped.items()))
  return f' Left out ({told}).' if told else ''


def _row(title: str, entry: dict[str, Any]) -> dict[str, Any]:
  change = entry['change']
  return {
    'title': title,
    'change': f'{number(change["value"]):+.3f}',
    'interval': f'{number(change["low"]):+.3f} to {number(change["high"]):+.3f}',
    'cells': [tables.cell(entry[name]) | {'n': ''} for name in _RATES],
  }


def _signed(entry: dict[str, Any]) -> str:
  low, high = number(entry['low']), number(entry['high'])
  return f'{number(entry["value"]):+.3f} ({low:+.3f} to {high:+.3f})'


def _percent(entry: dict[str, Any]) -> str:
  return f'{100 * number(entry["value"]):.1f} %'


def _change(content: dict[str, Any]) -> Plot:
  figure, axes = figures.new_figure(3.4)
  entries = [entry['change'] for entry in content['tones']]
  places = np.arange(len(entries))
  value, low, high = (
    np.array([number(e[key]) for e in entries]) for key in ('value', 'low', 'high')
  )
  axes.axhline(0, color=figures.INK, linewidth=1.0)
  axes.fill_between(places, low, high, color=figures.class_colour(0), alpha=0.2, linewidth=0)
  axes.plot(places, value, color=figures.class_colour(0), marker='o', markersize=3.5)
  _name_tones(axes, content)
  name = content['positive']['name']
  axes.set_ylabel(f'change of the probability of {figures.shorten(name)}')
  told = ', '.join(f'{e["tone"]} {number(e["change"]["value"]):+.3f}' for e in content['tones'])
  return Plot(
    'toning_change',
    'Change of the score by skin tone',
    f'Mean paired change of the probability of {name}: {told}.',
    figure,
    'Mean over the same images in every tone, A darkest, R lightest. Band: 95 % interval.',
  )


def _rates(content: dict[str, Any]) -> Plot:
  figure, axes = figures.new_figure(3.4)
  places = np.arange(len(content['tones']))
  for index, (name, title) in enumerate(_RATES.items()):
    entries = [entry[name] for entry in content['tones']]
    line = figures.class_line(index)
    low, high = ([number(entry[key]) for entry in entries] for key in ('low', 'high'))
    axes.fill_between(places, low, high, color=line['color'], alpha=0.15, linewidth=0)
    axes.plot(places, [number(entry['value']) for entry in entries], label=title, **line)
  axes.set_ylim(0, 1)
  _name_tones(axes, content)
  figures.add_legend(figure, axes)
  told = ', '.join(
    f'{entry["tone"]} {number(entry["sensitivity"]["value"]):.2f}' for entry in content['tones']
  )
  return Plot(
    'toning_rates',
    'Sensitivity, specificity and flips by skin tone',
    f'Sensitivity by tone: {told}.',
    figure,
    'At one threshold, fixed beforehand. Bands: 95 % intervals.',
  )


def _name_tones(axes: Any, content: dict[str, Any]) -> None:
  axes.set_xticks(np.arange(len(content['tones'])), [entry['tone'] for entry in content['tones']])
  axes.set_xlabel('skin tone, dark to light')
