"""Curves and matrices show the numbers they are labelled with."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from lesionjax.report import figures
from lesionjax.report.figures_scores import _staircase, confusion_plots, curve_plots
from lesionjax.report.run_files import Predictions


def predictions(count=400, size=3, seed=0):
  rng = np.random.default_rng(seed)
  labels = rng.integers(size, size=count)
  scores = rng.dirichlet(np.ones(size), count) * 0.7 + 0.3 * np.eye(size)[labels]
  names = tuple(f'class {index}' for index in range(size))
  ids = np.arange(count).astype(str)
  return Predictions(ids, ids, labels, scores, names)


def test_the_staircase_has_the_area_of_the_average_precision():
  rng = np.random.default_rng(1)
  truth, score = rng.integers(2, size=300), np.round(rng.random(300), 2)
  precision, recall, _ = precision_recall_curve(truth, score)
  x, y = _staircase(recall, precision)
  assert (x[-1], x[0]) == (0, 1)
  area = np.sum((x[:-1] - x[1:]) * y[:-1])  # drawn 'steps-post', from recall 1 down
  assert area == pytest.approx(average_precision_score(truth, score), abs=1e-12)


def test_curves_end_at_the_corners_and_have_the_area_of_their_legend():
  found = predictions()
  with figures.style():
    roc, _ = curve_plots(found, 'test')
  chance, *lines = roc.figure.axes[0].get_lines()
  assert chance.get_label() == 'chance'
  for index, line in enumerate(lines):
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    area = roc_auc_score(found.labels == index, found.probabilities[:, index])
    assert line.get_label() == f'class {index} {area:.3f}'
    assert np.trapezoid(y, x) == pytest.approx(area, abs=2e-3)
    assert line.get_color() == figures.class_colour(index)


def test_rows_of_the_matrix_are_true_classes():
  found = predictions(size=2)
  with figures.style():
    counts, rates = confusion_plots(found, 'test')
  predicted = found.probabilities.argmax(1)
  missed = int(((found.labels == 1) & (predicted == 0)).sum())
  texts = {t.get_position(): t.get_text() for t in counts.figure.axes[0].texts}
  assert texts[(0, 1)] == str(missed)  # column 0, row 1
  texts = {t.get_position(): t.get_text() for t in rates.figure.axes[0].texts}
  assert texts[(0, 1)] == f'{100 * missed / (found.labels == 1).sum():.0f}'


@pytest.mark.parametrize('size', [2, 9])
def test_no_label_of_a_figure_leaves_the_figure(size):
  found = predictions(size=size)
  long = [f'squamous cell carcinoma {index}' for index in range(size)]
  found = Predictions(*[getattr(found, f) for f in _FIELDS], class_names=tuple(long))
  with figures.style():
    for plot in [*confusion_plots(found, 'test'), *curve_plots(found, 'test')]:
      plot.figure.draw_without_rendering()
      inside = plot.figure.bbox.padded(1)
      for artist in [*plot.figure.legends, *plot.figure.axes]:
        box = artist.get_tightbbox(plot.figure.canvas.get_renderer())
        assert inside.contains(*box.min), plot.name
        assert inside.contains(*box.max), plot.name


_FIELDS = ('image_ids', 'group_ids', 'labels', 'probabilities')


def test_classes_keep_apart_in_colour_or_dash():
  looks = [figures.class_line(index) for index in range(12)]
  assert len({(look['color'], str(look['linestyle'])) for look in looks}) == 12
