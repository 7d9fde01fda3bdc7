"""Confusion matrices, ROC and precision-recall curves of one split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lesionjax.report import figures
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import Predictions

_MAX_POINTS = 400  # of one curve; more cannot be seen


def confusion_plots(predictions: Predictions, split: str) -> list[Plot]:
  """The confusion matrix as counts and as rates of the true class."""
  names = predictions.class_names
  predicted = predictions.probabilities.argmax(1)
  size = len(names)
  cells = predictions.labels * size + predicted
  counts = np.bincount(cells, minlength=size * size).reshape(size, size)
  support = counts.sum(1, keepdims=True)
  rates = np.divide(counts, support, out=np.full(counts.shape, np.nan), where=support > 0)
  text = {
    'counts': [[f'{count}' for count in row] for row in counts],
    'rates': [['' if np.isnan(rate) else f'{100 * rate:.0f}' for rate in row] for row in rates],
  }
  recall = ['undefined' if np.isnan(rate) else f'{100 * rate:.0f} %' for rate in np.diag(rates)]
  plots = []
  for kind, title in (('counts', 'images'), ('rates', '% of the true class')):
    figure = _matrix(rates, text[kind], names, support[:, 0])
    alt = f'Confusion matrix of {split}, {title}. Found of every class: '
    alt += figures.describe(names, recall) + '.'
    plots.append(Plot(f'confusion_{kind}_{split}', f'Confusion matrix, {title}', alt, figure))
  return plots


def _matrix(rates: np.ndarray, text: list[list[str]], names: Sequence[str], support: np.ndarray):
  size = len(names)
  short = [figures.shorten(name, 12) for name in names]
  longest = max(map(len, short))
  slanted = size > 5 or size * longest > 28
  gap = ' ' if longest < 8 else '\n'
  figure, axes = figures.new_figure(3.75, equal=True)
  axes.grid(False)
  axes.imshow(np.nan_to_num(rates), cmap='Blues', vmin=0, vmax=1)
  font = 10.5 if size <= 4 else 9.4 if size <= 7 else 8.4 if size <= 9 else 6
  for row in range(size):
    for column in range(size):
      rate = rates[row, column]
      colour = 'white' if rate > 0.55 else figures.INK if rate > 0 else '#7B8794'
      axes.text(
        column, row, text[row][column], ha='center', va='center', color=colour, fontsize=font
      )
  turn = {'rotation': 45, 'ha': 'right', 'rotation_mode': 'anchor'} if slanted else {}
  axes.set_xticks(range(size), short, **turn)
  axes.set_yticks(
    range(size), [f'{name}{gap}(n={n})' for name, n in zip(short, support, strict=True)]
  )
  axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
  axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
  axes.grid(which='minor', color='white', linewidth=1.2)
  axes.tick_params(which='both', length=0)
  for spine in axes.spines.values():
    spine.set_visible(False)
  axes.set_xlabel('predicted class')
  axes.set_ylabel('true class')
  return figure


def curve_plots(predictions: Predictions, split: str) -> list[Plot]:
  """ROC and precision-recall curves, every class against the rest (binary: the positive class)."""
  # Here, because scikit-learn would add seconds to the start of every command.
  from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

  roc_figure, roc_axes = figures.new_figure(4.7, equal=True)
  pr_figure, pr_axes = figures.new_figure(4.7, equal=True)
  names = predictions.class_names
  roc_axes.plot([0, 1], [0, 1], color='#7B8794', linewidth=1, linestyle=(0, (2, 2)), label='chance')
  pr_axes.plot([], [], color='#7B8794', linewidth=1, linestyle=':', label='prevalence')
  told = []
  for index in [1] if len(names) == 2 else range(len(names)):
    truth, score = predictions.labels == index, predictions.probabilities[:, index]
    name, look = figures.shorten(names[index]), figures.class_line(index)
    if not truth.any() or truth.all():
      told.append(f'{names[index]} undefined (no image with it or none without it)')
      continue
    false_positive, true_positive, _ = roc_curve(truth, score)
    precision, recall, _ = precision_recall_curve(truth, score)
    area = auc(false_positive, true_positive)
    average = average_precision_score(truth, score)
    _line(roc_axes, false_positive, true_positive, f'{name} {area:.3f}', look)
    _line(pr_axes, *_staircase(recall, precision), f'{name} {average:.3f}', look, step=True)
    pr_axes.axhline(truth.mean(), color=look['color'], linewidth=0.9, linestyle=':', alpha=0.8)
    told.append(f'{names[index]} AUC {area:.3f}, average precision {average:.3f}')
  for figure, axes in ((roc_figure, roc_axes), (pr_figure, pr_axes)):
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    figures.add_legend(figure, axes)
  roc_axes.set_xlabel('false-positive rate (1 - specificity)')
  roc_axes.set_ylabel('true-positive rate (sensitivity)')
  pr_axes.set_xlabel('recall (sensitivity)')
  pr_axes.set_ylabel('precision')
  alt = f'{split}: ' + '; '.join(told) + '.'
  area = 'Legend: area under the curve. Dotted: guessing.'
  height = 'Legend: average precision. Dotted: prevalence (guessing).'
  precision = 'Precision-recall curves'
  return [
    Plot(f'roc_{split}', 'ROC curves', f'ROC curves, {alt}', roc_figure, area),
    Plot(f'precision_recall_{split}', precision, f'{precision}, {alt}', pr_figure, height),
  ]


def _staircase(recall: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The steps whose area is the average precision, from recall 1 down to 0.

  Thresholds that find nothing new only lower the precision; they add no area and are left out.
  """
  steps = recall[:-1] > recall[1:]
  kept, height = recall[:-1][steps], precision[:-1][steps]
  return np.append(kept, 0.0), np.append(height, height[-1])


def _line(axes, x: np.ndarray, y: np.ndarray, label: str, look: dict, step: bool = False) -> None:
  if len(x) > _MAX_POINTS:
    keep = np.unique(np.linspace(0, len(x) - 1, _MAX_POINTS).round().astype(int))
    x, y = x[keep], y[keep]
  axes.plot(x, y, label=label, drawstyle='steps-post' if step else 'default', **look)
