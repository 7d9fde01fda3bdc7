"""The report's section on what the network looked at: numbers, curves, and maps image by image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.report import explanation_words as words
from lesionjax.report import figures, images, overlays
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import Predictions, Run, read_json, read_npz
from lesionjax.report.tables import cell

FILE = 'explanations.json'
_ARRAYS = ('index', 'kind', 'image', 'lesion', 'method', 'maps', 'artefact', 'alarm')
_OPEN = 6  # images of a kind that are seen at once; the rest unfolds
_LINES = {'random_patches': (0, (5, 1.6)), 'random_pixels': (0, (1.2, 1.2))}

Arrays = dict[str, np.ndarray]


def plots(run: Run) -> list[Plot]:
  """Deletion and insertion curves; to be called within `figures.style()`."""
  found = read_json(run.directory / FILE)
  if not found:
    return []
  return _guarded(run, lambda: [_curves(found, kind) for kind in ('deletion', 'insertion')])


def context(run: Run) -> dict[str, Any] | None:
  """What the template shows; None where nothing was explained.

  Raises:
    UserError: explanations.json or explanations_<split>.npz is damaged.
  """
  found = read_json(run.directory / FILE)
  return _guarded(run, lambda: _context(run, found)) if found else None


def _guarded(run: Run, make: Any) -> Any:
  try:
    return make()
  except (KeyError, TypeError, IndexError, AttributeError) as error:
    raise UserError(
      f'{run.directory / FILE} cannot be understood ({error!r}): evaluate the run again with'
      ' --mode=evaluate.'
    ) from error


def _context(run: Run, found: Mapping[str, Any]) -> dict[str, Any]:
  split = str(found['split'])
  return {
    'title': words.title(found),
    'sentences': words.sentences(found),
    'alarms': words.alarms(found),
    'rows': [_row(found, name) for name in found['methods']],
    'columns': [
      'Inside the lesion',
      'Peak on the lesion',
      'Deletion',
      'Insertion',
      'Random weights',
    ],
    'notes': words.notes(found),
    'legend': images.data_uri(overlays.legend()),
    'groups': _groups(run, split, str(run.option('evaluate.positive', 'malignant'))),
  }


def _row(found: Mapping[str, Any], method: str) -> dict[str, Any]:
  """One line of the table: every number with what chance gives."""
  entry, areas = found['methods'][method], found['perturbation']['areas'].get(method)
  drawn = found['randomisation'].get(method, {}).get('all')
  return {
    'name': words.METHODS[method],
    'cells': [
      (cell(entry['inside']), f'chance {cell(entry["area"])["value"]}'),
      (cell(entry['pointing']), f'chance {cell(entry["pointing_chance"])["value"]}'),
      (cell(areas and areas['deletion_gain']), 'better than random'),
      (cell(areas and areas['insertion_gain']), 'better than random'),
      (cell(drawn and drawn['rank_correlation']), 'rank correlation'),
    ],
  }


def _curves(found: Mapping[str, Any], kind: str) -> Plot:
  figure, axes = figures.new_figure()
  perturbation, areas = found['perturbation'], []
  at = [100 * fraction for fraction in perturbation['fractions']]
  for number, (name, both) in enumerate(perturbation['curves'].items()):
    random = name.startswith('random')
    look: Any = {'color': '#7B8794', 'linestyle': _LINES.get(name, '-')}
    look = look if random else {'color': figures.PALETTE[number]}
    axes.plot(at, both[kind], label=words.METHODS[name], **look)
    areas.append(f'{np.trapezoid(both[kind], dx=1 / (len(at) - 1)):.3f}')
  axes.set_xlabel(f'% of the pixels {"deleted" if kind == "deletion" else "inserted"}')
  axes.set_ylabel('probability of the predicted class')
  axes.set_ylim(0, 1)
  axes.set_xlim(0, 100)
  figures.add_legend(figure, axes)
  titles = {'deletion': 'Deletion: lower is better', 'insertion': 'Insertion: higher is better'}
  told = figures.describe([words.METHODS[name] for name in perturbation['curves']], areas)
  caption = f'Mean of {perturbation["images"]} images.'
  return Plot(f'explanations_{kind}', titles[kind], f'Areas under: {told}.', figure, caption)


def _groups(run: Run, split: str, positive: str) -> list[dict[str, Any]]:
  """The images by why they are shown."""
  path = run.directory / f'explanations_{split}.npz'
  found = read_npz(path, lambda arrays: {name: arrays[name] for name in _ARRAYS})
  predictions = run.predictions.get(split)
  if found is None or predictions is None:
    return []
  rows = found['index']
  if len(rows) and (rows.min() < 0 or rows.max() >= len(predictions.labels)):
    raise UserError(f'{path} does not belong to predictions_{split}.npz: evaluate the run again.')
  groups = []
  for kind, title in words.kinds(positive).items():
    places = np.flatnonzero(found['kind'] == kind).tolist()
    cases = [_case(found, predictions, at) for at in places]
    if cases:
      groups.append({'title': title, 'first': cases[:_OPEN], 'rest': cases[_OPEN:]})
  return groups


def _case(found: Arrays, predictions: Predictions, at: int) -> dict[str, Any]:
  """One image with its maps."""
  row, image, lesion = int(found['index'][at]), found['image'][at], found['lesion'][at]
  scores, truth = predictions.probabilities[row], int(predictions.labels[row])
  guess, image_id = int(scores.argmax()), str(predictions.image_ids[row])
  panels = [_panel('Image', overlays.outline(image, lesion, width_px=1), f'{image_id}, lesion')]
  for method, one in zip(found['method'].tolist(), found['maps'][at], strict=True):
    drawn = overlays.overlay(image, one.astype(np.float32) / 255)
    name = words.METHODS[method]
    panels.append(
      _panel(name, overlays.outline(drawn, lesion, width_px=1), f'{name} of {image_id}')
    )
  alarms = [
    f'{words.METHODS[method]} lies on {words.KINDS[kind]}'
    for method, flags in zip(found['method'].tolist(), found['alarm'][at], strict=True)
    for kind, flag in zip(found['artefact'].tolist(), flags, strict=True)
    if flag
  ]
  return {
    'image_id': image_id,
    'true': predictions.class_names[truth],
    'true_colour': figures.class_colour(truth),
    'true_probability': f'{scores[truth]:.2f}',
    'predicted': predictions.class_names[guess],
    'predicted_colour': figures.class_colour(guess),
    'probability': f'{scores[guess]:.2f}',
    'wrong': guess != truth,
    'without_lesion': not lesion.any(),
    'panels': panels,
    'alarms': alarms,
  }


def _panel(name: str, image: np.ndarray, alt: str) -> dict[str, Any]:
  return {
    'name': name,
    'src': images.data_uri(image),
    'alt': alt,
    'width': image.shape[1],
    'height': image.shape[0],
  }
