"""What a run's strategy added to its training images, on a page: maps of features, pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax.report import figures, images
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import read_npz

_NAMES = {'smote': 'SMOTE', 'adasyn': 'ADASYN'}
_GAP_PX = 3
_LEAST_PX = 64  # of a picture: smaller ones are enlarged, so that a page does not blur them

Arrays = dict[str, np.ndarray]
_COMMON = ('label', 'class_names', 'real_count', 'added_count')
_MAP = (*_COMMON, 'coordinates', 'added', 'method', 'neighbours')
_BETWEEN = (*_COMMON, 'image', 'first', 'second', 'share', 'parent_id', 'method', 'neighbours')
_GENERATED = (*_COMMON, 'image', 'generated', 'image_id')


@dataclasses.dataclass(frozen=True)
class Added:
  """What was found in a run directory; None is what is not there.

  Attributes:
    map: coordinates [M, 2], label and added [M] of features.
    between: image, first and second [M, h, w, 3], share, label and parent_id [M, 2].
    generated: image [M, h, w, 3], label, generated and image_id [M].
  """

  map: Arrays | None = None
  between: Arrays | None = None
  generated: Arrays | None = None

  def __bool__(self) -> bool:
    return any((self.map, self.between, self.generated))


def read(run_dir: epath.PathLike) -> Added:
  """Reads resampled.npz and synthetic_examples.npz where they are.

  Raises:
    UserError: one of them is damaged.
  """
  run_dir = epath.Path(run_dir)
  resampled = read_npz(run_dir / 'resampled.npz', _resampled)
  generated = read_npz(run_dir / 'synthetic_examples.npz', lambda arrays: _take(arrays, _GENERATED))
  for name, arrays in (('resampled', resampled), ('synthetic_examples', generated)):
    if arrays and not _fits(arrays):
      raise UserError(
        f'{run_dir / f"{name}.npz"} holds arrays of different lengths or unknown classes: evaluate'
        ' the run again with --mode=evaluate.'
      )
  in_pixels = bool(resampled) and 'image' in resampled
  return Added(None if in_pixels else resampled, resampled if in_pixels else None, generated)


def _resampled(arrays: Any) -> Arrays:
  return _take(arrays, _BETWEEN if str(arrays['space']) == 'pixels' else _MAP)


def _take(arrays: Any, names: Sequence[str]) -> Arrays:
  return {name: arrays[name] for name in names}


def _fits(arrays: Mapping[str, np.ndarray]) -> bool:
  labels, classes = arrays['label'], len(arrays['class_names'])
  rows = [value for name, value in arrays.items() if name not in (*_COMMON, 'method', 'neighbours')]
  known = bool(((labels >= 0) & (labels < classes)).all())
  counted = all(len(arrays[name]) == classes for name in ('real_count', 'added_count'))
  return known and counted and all(len(row) == len(labels) for row in rows)


def plots(found: Added, prefix: str = '', of: str = '') -> list[Plot]:
  """The map before and after, on the same axes; none where there is no map.

  Args:
    found: of a run.
    prefix: of the figures' names.
    of: whose map it is, for the title; '' on the run's own page.
  """
  if found.map is None:
    return []
  place, label, added = (found.map[name] for name in ('coordinates', 'label', 'added'))
  names = [str(name) for name in found.map['class_names']]
  low, high = place.min(0), place.max(0)
  margin = 0.03 * (high - low) + 1e-6
  wide, tall = high - low + 2 * margin
  height = min(max(4.0 * tall / wide, 2.0), 4.4) + 0.5  # the legend has the half inch
  drawn = []
  for when, rows in (('before', ~added), ('after', np.ones_like(added))):
    figure, axes = figures.new_figure(height, equal=True)
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
      spine.set_visible(True)
    for index, name in enumerate(names):
      colour, mine = figures.class_colour(index), rows & (label == index)
      real, made = place[mine & ~added], place[mine & added]
      # The added ones are hollow and stand behind: what is real is seen in both panels alike.
      axes.scatter(*made.T, s=9, facecolors='none', edgecolors=colour, linewidths=0.6, zorder=2)
      axes.scatter(*real.T, s=8, c=colour, linewidths=0, zorder=3)
      axes.scatter([], [], s=22, c=colour, linewidths=0, label=figures.shorten(name))
    axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
    axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
    figures.add_legend(figure, axes)
    drawn.append(_plot(found.map, names, rows, when, figure, prefix, of))
  return drawn


def _plot(
  arrays: Arrays, names: list[str], rows: np.ndarray, when: str, figure: Any, prefix: str, of: str
) -> Plot:
  label, added, method = arrays['label'], arrays['added'], method_name(arrays)
  counts = [
    np.bincount(label[rows & (added == kind)], minlength=len(names)) for kind in (False, True)
  ]
  if when == 'before':
    title, caption = f'Before {method}', f'{counts[0].sum():,} training images'
    told = [f'{n}' for n in counts[0]]
  else:
    title = f'After {method}'
    caption = f'the same, and {counts[1].sum():,} added rows (hollow)'
    told = [f'{n} and {m} added' for n, m in zip(*counts, strict=True)]
  alt = f'Map (t-SNE) of features {when} {method}, points of every class: '
  alt += figures.describe(names, told) + '.'
  title = f'{of}: {title[0].lower()}{title[1:]}' if of else title
  return Plot(f'{prefix}features_{when}', title, alt, figure, caption)


def method_name(arrays: Mapping[str, np.ndarray]) -> str:
  """'SMOTE' or 'ADASYN', of resampled.npz."""
  method = str(arrays['method'])
  return _NAMES.get(method, method)


def context(found: Added) -> dict[str, Any]:
  """What the templates show besides the maps."""
  resampled = found.map or found.between
  return {
    'map': found.map is not None,
    'method': method_name(resampled) if resampled else '',
    'neighbours': int(resampled['neighbours']) if resampled else 0,
    'resampled': _counts(resampled),
    'generated_counts': _counts(found.generated),
    'between': _between(found.between) if found.between else [],
    'generated': _generated(found.generated) if found.generated else [],
  }


def _counts(arrays: Arrays | None) -> str:
  """'df 81 + 4,612, nv 4,693' of the training images."""
  if arrays is None:
    return ''
  counted = zip(arrays['class_names'], arrays['real_count'], arrays['added_count'], strict=True)
  return ', '.join(f'{name} {n:,}' + (f' + {m:,}' if m else '') for name, n, m in counted)


def _between(arrays: Arrays) -> list[dict[str, Any]]:
  """By class: strips of a real image, the added one and the other real image."""
  groups = []
  for index, name in enumerate(map(str, arrays['class_names'])):
    shown = []
    for row in np.flatnonzero(arrays['label'] == index).tolist():
      parts = [arrays[key][row] for key in ('first', 'image', 'second')]
      percent = f'{100 * float(arrays["share"][row]):.0f}'
      first, second = (str(each) for each in arrays['parent_id'][row])
      alt = f'{name}: training image {first}, the image added {percent} % of the way, {second}'
      shown.append({'src': _strip(parts), 'alt': alt, 'percent': percent})
    if shown:
      groups.append({'name': name, 'colour': figures.class_colour(index), 'figures': shown})
  return groups


def _generated(arrays: Arrays) -> list[dict[str, Any]]:
  """By class: a strip of generated and one of real images."""
  groups = []
  for index, name in enumerate(map(str, arrays['class_names'])):
    mine = arrays['label'] == index
    strips = {}
    for kind, flag in (('generated', True), ('real', False)):
      rows = np.flatnonzero(mine & (arrays['generated'] == flag))
      alt = f'{name}: {len(rows)} {kind} training images'
      strips[kind] = {'src': _strip(list(arrays['image'][rows])), 'alt': alt} if len(rows) else None
    if strips['generated']:
      groups.append({'name': name, 'colour': figures.class_colour(index), **strips})
  return groups


def _strip(parts: Sequence[np.ndarray]) -> str:
  """Pictures side by side as one <img> source."""
  scale = -(-_LEAST_PX // parts[0].shape[1])
  whole = [np.repeat(np.repeat(part, scale, 0), scale, 1) for part in parts]
  gap = np.full((whole[0].shape[0], _GAP_PX * 2, 3), 255, np.uint8)
  joined = [piece for part in whole for piece in (part, gap)][:-1]
  return images.data_uri(np.concatenate(joined, 1))
