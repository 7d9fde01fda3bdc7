"""The section about an average of runs or views: what it gains over the best run alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from data_builders.errors import UserError
from lesionjax.evaluation.averaging import COMPARED, LOWER_IS_BETTER
from lesionjax.evaluation.comparison import BETTER, WORSE
from lesionjax.report import figures, tables
from lesionjax.report.run_files import Run, number

FILE = 'averaged.json'
_KINDS = {BETTER: 'good', WORSE: 'bad'}
_VIEWS = {
  'flips': 'mirrored left to right, top to bottom, and both',
  'quarter_turns': 'turned by quarters, each also mirrored',
}

Found = Mapping[str, Any]


def read(run: Run) -> dict[str, Any] | None:
  """What averaged.json holds; None where the directory is not one of an average.

  Raises:
    UserError: the file is damaged.
  """
  path = run.directory / FILE
  if not path.exists():
    return None
  try:
    return json.loads(path.read_text())
  except ValueError as error:
    raise UserError(
      f'{path} is not valid JSON ({error}): average the runs again with --mode=evaluate.'
    ) from error


def plots(run: Run) -> list[figures.Plot]:
  """Gains over the best member alone with their intervals, a row a way and metric."""
  found = read(run)
  if found is None:
    return []
  shown = [name for name in COMPARED if name not in LOWER_IS_BETTER]
  titles = _titles(found)
  ways = [way for way in _ways(found) if way['gain']]
  rows = [
    (figures.shorten(titles[metric], 20), k, way['gain'][metric])
    for metric in shown
    for k, way in enumerate(ways)
    if way['gain'][metric]['value'] is not None
  ]
  if not rows:
    return []
  figure, axes = figures.new_figure(1.2 + 0.32 * len(rows))
  for place, (_, k, gain) in enumerate(rows):
    colour = figures.class_colour(k)
    if gain['low'] is not None:
      axes.plot([gain['low'], gain['high']], [place, place], color=colour, linewidth=2.4)
    axes.plot(gain['value'], place, 'o', color=colour, markersize=5)
  for k, way in enumerate(ways):
    axes.plot([], [], 'o-', color=figures.class_colour(k), label=_way_name(found, way['key']))
  axes.axvline(0, color=figures.INK, linewidth=0.8)
  axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
  axes.set_ylim(len(rows) - 0.4, -0.6)
  axes.set_xlabel(f'Gain over {_way_name(found, "single")}')
  figures.add_legend(figure, axes)
  told = [f'{_way_name(found, ways[k]["key"])} {gain["value"]:+.3f}' for _, k, gain in rows]
  alt = f'Gains over {_way_name(found, "single")}: ' + figures.describe(
    [name for name, _, _ in rows], told
  )
  return [figures.Plot('averaged', 'What averaging gains', alt, figure)]


def context(run: Run) -> dict[str, Any] | None:
  """What the template shows; None where the directory is not one of an average."""
  found = read(run)
  if found is None:
    return None
  final = next(way for way in _ways(found) if way['key'] == found['key'])
  titles = _titles(found)
  test = _split(found)
  return {
    'title': _title(final, titles),
    'sentences': _sentences(found, final, titles),
    'metrics': [titles[name] for name in COMPARED],
    'ways': [
      {
        'name': _way_name(found, way['key']),
        'final': way['key'] == found['key'],
        'cells': [_way_cell(way, name) for name in COMPARED],
      }
      for way in _ways(found)
    ],
    'members': [
      {
        'name': member['name'],
        'about': f'{member["model"]} at {member["size_px"]} px, seed {member["seed"]}',
        'chosen': member['name'] == found['single'],
        'cells': [tables.cell(member['metrics'][test][name]) | {'n': ''} for name in COMPARED],
      }
      for member in found['members']
    ],
    'note': _note(found),
    'tuned_on_test': found['chosen_on'] == found['test'],
  }


def _split(found: Found) -> str:
  return found['test'] if found['test'] in found['splits'] else next(iter(found['splits']))


def _ways(found: Found) -> list[dict[str, Any]]:
  return found['splits'][_split(found)]['ways']


def _titles(found: Found) -> dict[str, str]:
  binary = len(found['class_names']) == 2
  return {
    'macro_auc': 'AUC' if binary else 'Macro AUC',
    'balanced_accuracy': 'Balanced accuracy',
    'accuracy': 'Accuracy',
    'log_loss': 'Log loss',
  }


def _way_name(found: Found, key: str) -> str:
  members, views = len(found['members']), found['views']
  best = 'the best run' if members > 1 else 'the run'
  return {
    'single': f'{best} alone',
    'views': f'{best}, {views} views',
    'members': f'{members} runs',
    'both': f'{members} runs, {views} views',
  }[key]


def _way_cell(way: Found, metric: str) -> dict[str, Any]:
  told = tables.cell(way['metrics'][metric]) | {'n': '', 'gain': '', 'kind': '', 'verdict': ''}
  if not way['gain']:
    return told
  verdict = way['verdicts'][metric]
  gain = _told(way['gain'][metric])
  return told | {'gain': gain, 'kind': _KINDS.get(verdict, 'open'), 'verdict': verdict}


def _title(final: Found, titles: Mapping[str, str]) -> str:
  better, worse = (
    [_lower(titles[name]) for name in COMPARED if final['verdicts'][name] == kind]
    for kind in (BETTER, WORSE)
  )
  if better and worse:
    return f'Averaging is better in {_list(better)} and worse in {_list(worse)}'
  if better:
    return f'Averaging is better in {_list(better)}'
  return f'Averaging is worse in {_list(worse)}' if worse else 'No gain of averaging is shown'


def _sentences(found: Found, final: Found, titles: Mapping[str, str]) -> list[str]:
  part = found['splits'][_split(found)]
  members = len(found['members'])
  what = f'the probabilities of {members} runs' if members > 1 else f'what {found["single"]} says'
  if found['views'] > 1:
    what += f' of {found["views"]} views of every image (as it is, {_VIEWS[found["tta"]]})'
  sentences = [
    f'Everything on this page is about the mean of {what}.',
    f'On {part["images"]:,} images of {part["groups"]:,} lesions or patients of the'
    f' {_split(found)} split, its {_lower(titles["macro_auc"])} differs from that of'
    f' {_way_name(found, "single")} by {_told(final["gain"]["macro_auc"])}, its balanced accuracy'
    f' by {_told(final["gain"]["balanced_accuracy"])}, its log loss (lower is better) by'
    f' {_told(final["gain"]["log_loss"])}.',
  ]
  if members > 1:
    name = _lower(titles.get(found['chosen_by'], found['chosen_by'].replace('_', ' ')))
    sentences.append(
      f'The best run, {found["single"]}, was chosen by its {name} on the {found["chosen_on"]}'
      ' split.'
    )
  return sentences


def _note(found: Found) -> str:
  return (
    f'Numbers are of the {_split(found)} split. Below each interval: the difference to'
    f' {_way_name(found, "single")}, paired, as both are measured on the same draws of whole'
    ' lesions or patients; all intervals are 95 %.'
  )


def _told(gain: Found) -> str:
  value, low, high = (number(gain[key]) for key in ('value', 'low', 'high'))
  if math.isnan(value):
    return 'an undefined amount'
  limits = 'interval undefined' if math.isnan(low) else f'{low:+.3f} to {high:+.3f}'
  return f'{value:+.3f} ({limits})'


def _lower(title: str) -> str:
  return title[0].lower() + title[1:] if title[1:2].islower() else title


def _list(words: list[str]) -> str:
  return ', '.join(words[:-1]) + f' and {words[-1]}' if len(words) > 1 else words[0]
