"""The page of a segmenter: verdict, outlines, which images are hard, curves."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np

from lesionjax.report import figures, figures_training, images, overlays, tables
from lesionjax.report.figures import Plot
from lesionjax.report.mask_files import (
  MaskExamples,
  MaskPredictions,
  read_examples,
  read_predictions,
)
from lesionjax.report.run_files import Run, number, read_run

_TRUE, _NETWORK, _OTSU = (255, 255, 255), (230, 159, 0), (86, 180, 233)
_SHOWN_PX = 320  # side of an example
_TILES = (
  ('dice', 'Dice'),
  ('threshold_jaccard', 'Jaccard, 0 below 0.65'),
  ('sensitivity', 'Sensitivity of pixels'),
  ('specificity', 'Specificity of pixels'),
  ('hd95_percent', 'Boundary distance (95 % Hausdorff, % of the diagonal)'),
  ('failure', 'Failures (Jaccard below 0.65)'),
)
_CURVES = (
  ('loss', 'Loss', 'mean (validation: log loss)'),
  ('dice', 'Dice', 'mean over images, threshold 0.5'),
  ('jaccard', 'Jaccard', 'mean over images, threshold 0.5'),
)
_VIEWS = {
  'mask': 'the lesion alone, black around it,',
  'crop': 'the rectangle around the lesion',
  'mask_crop': 'the lesion alone, cut out,',
  'attention': 'the whole image, and in training the lesion',
}
_SMALL_GROUP = 10  # images below which a box says nothing


def plots(run: Run, split: str) -> dict[str, list[Plot]]:
  """The figures of the page by place; to be called within `figures.style()`."""
  predictions = read_predictions(run, split) if split else None
  return {
    'spread': _spread_plots(predictions) if predictions else [],
    'training': figures_training.curve_plots(run, _CURVES),
    'distribution': [],
  }


def context(run: Run, split: str) -> dict[str, Any]:
  """What the page shows of a segmenter's masks."""
  predictions = read_predictions(run, split) if split else None
  title, sentences = _verdict(run, split, predictions)
  return {
    'title': title,
    'verdict': sentences,
    'tiles': _tiles(run, split) if split else [],
    'size': _size(run),
    'postprocess': _postprocess(run),
    'overlays': _overlays(run, split, predictions) if predictions else [],
  }


def stage(run: Run) -> dict[str, Any] | None:
  """What a classifier's page shows of its first stage; None without one."""
  if not run.option('segmenter') or not (run.directory / 'segmenter' / 'metrics.json').exists():
    return None
  first = read_run(run.directory / 'segmenter')
  split = first.splits[0]
  return {
    'mask': context(first, split),
    'split': split,
    'view': _VIEWS.get(str(run.option('data.lesion')), 'images'),
    'rejected': _rejected(run),
  }


def _rejected(run: Run) -> str:
  path = run.directory / 'masks' / 'masks.json'
  if not path.exists():
    return ''
  about = json.loads(path.read_text())
  count, images = int(about.get('rejected', 0)), int(about.get('images', 0))
  if not count:
    return f'A lesion was found in all {images:,} images.'
  return (
    f'In {count:,} of {images:,} images no lesion was found: these are seen, and scored, whole.'
  )


def _verdict(run: Run, split: str, predictions: MaskPredictions | None) -> tuple[str, list[str]]:
  metrics, gain = run.metrics.get(split, {}), run.metrics.get(f'{split}_gain', {})
  if 'dice' not in metrics or predictions is None:
    return 'No verdict: nothing was measured', []
  difference = gain.get('dice') or {}
  low, high = number(difference.get('low')), number(difference.get('high'))
  title = 'Not shown to differ from a threshold on grey'
  if low > 0:
    title = 'Finds the lesion better than a threshold on grey'
  elif high < 0:
    title = 'Finds the lesion worse than a threshold on grey'
  otsu = run.metrics.get(f'{split}_otsu', {})
  groups = len(set(predictions.group_ids.tolist()))
  sentences = [
    f'On {len(predictions.labels):,} images of {groups:,} lesions or patients in the {split} split,'
    f' the mean Dice is {told(metrics["dice"])} and the threshold Jaccard'
    f' {told(metrics.get("threshold_jaccard"))}.',
    f"Otsu's threshold, which learns nothing, reaches {told(otsu.get('dice'))} on the same images;"
    f' the paired difference is {told(difference)}.',
  ]
  undefined = int(number((metrics.get('hd95_percent') or {}).get('undefined')) or 0)
  if undefined:
    sentences.append(
      f'The boundary distance is undefined for {undefined:,} images whose mask, drawn or predicted,'
      ' is empty; they are left out of it and counted in everything else.'
    )
  at_border = tables.border(metrics.get('lesion_at_border'))
  return title, [*sentences, at_border] if at_border else sentences


def told(entry: Any) -> str:
  """'0.889 (0.880 to 0.897)'."""
  text = tables.cell(entry)
  return f'{text["value"]} ({text["interval"]})' if text['interval'] else text['value']


def _tiles(run: Run, split: str) -> list[dict[str, Any]]:
  metrics, otsu = run.metrics.get(split, {}), run.metrics.get(f'{split}_otsu', {})
  plain = run.metrics.get(f'{split}_plain', {})
  found = []
  for name, title in _TILES:
    entry, line = metrics.get(name), number((otsu.get(name) or {}).get('value'))
    value, low, high = (number((entry or {}).get(key)) for key in ('value', 'low', 'high'))
    strip = None if name == 'hd95_percent' else tables.strip(value, low, high)
    place = tables.strip(line, line, line)
    without = number((plain.get(name) or {}).get('value'))
    found.append(
      {
        'title': title,
        'cell': tables.cell(entry),
        'strip': strip,
        'mark': {'point': place['point'] if place else 0, 'text': f'Otsu {line:.3f}'},
        'note': f'at threshold 0.5 without clean-up {without:.3f}',
      }
    )
  return found


def _size(run: Run) -> str:
  width = run.option('data.size_px', 'unknown')
  return f'{width}x{run.option("data.height_px") or width}'


def _postprocess(run: Run) -> str:
  path = run.directory / 'postprocess.json'
  if not path.exists():
    return 'not recorded'
  found = json.loads(path.read_text())
  steps = [f'threshold {found.get("threshold", 0.5):g}']
  steps += ['largest region only'] if found.get('largest_component') else []
  steps += ['holes filled'] if found.get('fill_holes') else []
  return ', '.join(steps)


def _overlays(run: Run, split: str, predictions: MaskPredictions) -> list[dict[str, Any]]:
  examples = read_examples(run, split, len(predictions.labels))
  if examples is None or not len(examples.rows):
    return []
  shown = [_overlay(examples, predictions, at) for at in range(len(examples.rows))]
  third = len(shown) // 3
  parts = (
    ('Best', shown[:third]),
    ('Around the median', shown[third : len(shown) - third]),
    ('Worst, the very worst last', shown[len(shown) - third :]),
  )
  return [{'title': title, 'figures': part} for title, part in parts if part]


def _overlay(examples: MaskExamples, predictions: MaskPredictions, at: int) -> dict[str, Any]:
  row, image = int(examples.rows[at]), _enlarged(examples.images[at])
  for mask, colour in (
    (examples.otsu[at], _OTSU),
    (examples.masks[at], _TRUE),
    (examples.predicted[at], _NETWORK),
  ):
    image = overlays.outline(image, mask, colour)
  label = predictions.class_names[predictions.labels[row]]
  return {
    'src': images.data_uri(image),
    'image_id': str(predictions.image_ids[row]),
    'label': '' if len(predictions.class_names) == 1 else label,
    'dice': f'{predictions.network["dice"][row]:.3f}',
    'otsu': f'{predictions.otsu["dice"][row]:.3f}',
    'width': image.shape[1],
    'height': image.shape[0],
  }


def _enlarged(image: np.ndarray) -> np.ndarray:
  """An image as large as it is shown: lines drawn on fewer pixels lose their colour."""
  scale = max(1, _SHOWN_PX / max(image.shape[:2]))
  return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def _spread_plots(predictions: MaskPredictions) -> list[Plot]:
  found = [_histogram(predictions)]
  if len(predictions.class_names) > 1:
    parts = [
      (name, predictions.labels == index) for index, name in enumerate(predictions.class_names)
    ]
    found.append(_boxes('dice_by_class', 'Dice by class', 'class', parts, predictions))
  for name, title, label, shares, form in (
    ('size', 'size of the lesion', 'lesion, share of the image', predictions.lesion_share, '.0f'),
    ('hair', 'hair', 'pixels that look like hair', predictions.hair_share, '.2g'),
  ):
    parts = _quarters(shares, form)
    found.append(
      _boxes(f'dice_by_{name}', f'Dice by {title}', f'{label} (quarters)', parts, predictions)
    )
  return found


def _quarters(shares: np.ndarray, form: str) -> list[tuple[str, np.ndarray]]:
  """Four parts of equally many images, from the smallest share to the largest."""
  cuts = np.quantile(shares, [0, 0.25, 0.5, 0.75, 1])
  quarter = np.searchsorted(cuts[1:-1], shares, side='right')
  return [
    (f'{100 * cuts[at]:{form}} to {100 * cuts[at + 1]:{form}} %', quarter == at) for at in range(4)
  ]


def _histogram(predictions: MaskPredictions) -> Plot:
  figure, axes = figures.new_figure()
  bins = np.linspace(0, 1, 41)
  for name, values, colour in (
    ("Otsu's threshold", predictions.otsu['dice'], '#56B4E9'),
    ('this network', predictions.network['dice'], '#E69F00'),
  ):
    axes.hist(values, bins=bins.tolist(), color=colour, alpha=0.65, label=name)
  axes.set_xlabel('Dice of an image')
  axes.set_ylabel('images')
  axes.set_xlim(0, 1)
  figures.add_legend(figure, axes)
  low = (predictions.network['dice'] < 0.5).sum()
  alt = f'Histogram of Dice over images; {low} images of the network lie below 0.5.'
  return Plot('dice_histogram', 'Dice of every image', alt, figure)


def _boxes(
  name: str, title: str, label: str, parts: list[tuple[str, np.ndarray]], predictions: Any
) -> Plot:
  figure, axes = figures.new_figure()
  dice = predictions.network['dice']
  names, means = [], []
  for at, (part, rows) in enumerate(parts):
    values = dice[rows]
    names.append(f'{figures.shorten(part, 12)}\nn={len(values)}')
    means.append('none' if not len(values) else f'{np.median(values):.3f}')
    if len(values) < _SMALL_GROUP:
      axes.plot(np.full(len(values), at), values, 'o', markersize=3, color=figures.INK)
      continue
    box = axes.boxplot(
      values, positions=[at], widths=0.6, showfliers=True, patch_artist=True, manage_ticks=False
    )
    box['boxes'][0].set(facecolor='#F3D9A4', edgecolor=figures.INK)
    box['medians'][0].set(color=figures.INK, linewidth=1.6)
    box['fliers'][0].set(marker='.', markersize=3, markeredgecolor='#52606D')
  axes.set_xticks(range(len(names)), names, fontsize=7.5)
  axes.set_xlim(-0.6, len(names) - 0.4)
  axes.set_ylim(-0.02, 1.02)
  axes.set_xlabel(label)
  axes.set_ylabel('Dice')
  alt = f'{title}. Medians: {figures.describe([part for part, _ in parts], means)}.'
  caption = 'Box: middle half and median; groups of fewer than ten images as points.'
  return Plot(name, title, alt, figure, caption)
