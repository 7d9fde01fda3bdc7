"""Where the network puts its images before the last layer: a map, and what neighbours are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.report import figures
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import Run, read_json, read_npz
from lesionjax.report.tables import cell

_NAMES = ('coordinates', 'label', 'split', 'class_names')
_SPLIT_COLOURS = ('#0072B2', '#E69F00')

Arrays = dict[str, np.ndarray]


def plots(run: Run) -> list[Plot]:
  """The same map twice: coloured by class and by split."""
  found = _map(run)
  if found is None:
    return []
  names = [str(name) for name in found['class_names']]
  colours = [figures.class_colour(index) for index in range(len(names))]
  drawn = [_panel(found['coordinates'], found['label'], names, colours)]
  counts = np.bincount(found['label'], minlength=len(names)).tolist()
  total = f'{len(found["label"]):,} images, as many of every class where there are enough'
  told = figures.describe(names, [f'{count}' for count in counts])
  result = [
    Plot(
      'feature_space_class', 'By class',
      f'Map (t-SNE) of pre-logits, images of every class: {told}.', drawn[0], total,
    )
  ]  # fmt: skip
  splits = list(dict.fromkeys(found['split'].tolist()))
  if len(splits) > 1:
    number = np.array([splits.index(name) for name in found['split'].tolist()])
    figure = _panel(found['coordinates'], number, splits, list(_SPLIT_COLOURS))
    told = figures.describe(splits, [f'{(number == at).sum()}' for at in range(len(splits))])
    result.append(
      Plot('feature_space_split', 'By split', f'The same map, images of: {told}.', figure, told)
    )
  return result


def context(run: Run) -> dict[str, Any] | None:
  """What the template shows; None where there is no map."""
  if _map(run) is None:
    return None
  numbers = read_json(run.directory / 'feature_space.json')
  return {
    'title': _title(numbers),
    'sentences': _sentences(numbers),
    'rows': _rows(numbers),
    'neighbours': numbers.get('neighbours', 0),
    'resampled': (run.directory / 'resampled.npz').exists(),
  }


def _map(run: Run) -> Arrays | None:
  path = run.directory / 'feature_space.npz'
  found = read_npz(path, lambda arrays: {name: arrays[name] for name in _NAMES})
  if found is None:
    return None
  label, count = found['label'], len(found['label'])
  fits = len(found['coordinates']) == len(found['split']) == count > 0
  if not fits or label.min() < 0 or label.max() >= len(found['class_names']):
    raise UserError(
      f'{path} holds arrays of different lengths or unknown classes: evaluate the run again with'
      ' --mode=evaluate.'
    )
  return found


def _panel(place: np.ndarray, kind: np.ndarray, names: list[str], colours: list[str]) -> Any:
  """Points in the colours of their kind; drawn in turns, so that no kind hides another."""
  low, high = place.min(0), place.max(0)
  margin = 0.03 * (high - low) + 1e-6
  wide, tall = high - low + 2 * margin
  figure, axes = figures.new_figure(min(max(4.0 * tall / wide, 2.0), 4.4) + 0.5, equal=True)
  axes.grid(False)
  axes.set_xticks([])
  axes.set_yticks([])
  for spine in axes.spines.values():
    spine.set_visible(True)
  # Turns by a fixed shuffle: the last kind would lie on top of all others.
  order = np.random.default_rng(0).permutation(len(kind))
  axes.scatter(*place[order].T, s=8, c=[colours[k] for k in kind[order].tolist()], linewidths=0)
  for name, colour in zip(names, colours, strict=False):
    axes.scatter([], [], s=22, c=colour, linewidths=0, label=figures.shorten(name))
  axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
  axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
  figures.add_legend(figure, axes)
  return figure


def _title(numbers: Mapping[str, Any]) -> str:
  if 'agreement' not in numbers:
    return 'Feature space'
  share = 100 * numbers['agreement']['macro']['value']
  return f'Feature space: {share:.0f} % of the nearest images are of the same class'


def _sentences(numbers: Mapping[str, Any]) -> list[str]:
  """Agreement of neighbours, and whether the splits lie alike."""
  if 'agreement' not in numbers:
    return []
  known, asked = numbers['splits']
  macro, k = cell(numbers['agreement']['macro']), numbers['neighbours']
  blind = sum(numbers['chance'].values()) / len(numbers['chance'])
  told = [
    f'Of the {k} {known} images nearest to an image of {asked}, by pre-logits, {macro["value"]}'
    f' ({macro["interval"]}) are of its class, mean over classes; neighbours drawn blindly would'
    f' reach {blind:.3f}.'
  ]
  same, expected = numbers['same_split'], numbers['expected_split']
  if same['low'] is not None:
    alike = same['low'] <= expected <= same['high']
    told.append(
      f'Among both splits {cell(same)["value"]} ({cell(same)["interval"]}) of the nearest are of'
      f' {asked}, where {expected:.3f} would be if the splits lay alike'
      + (': no shift between them is seen.' if alike else ': the splits do not lie quite alike.')
    )
  return told


def _rows(numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
  """One row a class."""
  if 'agreement' not in numbers:
    return []
  return [
    {
      'name': name,
      'colour': figures.class_colour(index),
      'cell': cell(numbers['agreement'][name]),
      'chance': f'{share:.3f}',
    }
    for index, (name, share) in enumerate(numbers['chance'].items())
  ]
