"""The forms that the figures of a data set share: histograms, bars and boxes with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lesionjax.report import figures

GREY = '#7B8794'
Classes = Sequence[tuple[str, np.ndarray]]


def histogram(values: np.ndarray, edges: np.ndarray, unit: str, height_inch: float = 2.5) -> Figure:
  """Bars of a distribution; those beyond the edges are counted in the outer bins."""
  figure, axes = figures.new_figure(height_inch)
  axes.hist(
    np.clip(values, edges[0], edges[-1]),
    bins=edges.tolist(),
    color=figures.VALIDATION_COLOUR,
    edgecolor='white',
    linewidth=0.5,
  )
  axes.set_xlim(edges[0], edges[-1])
  axes.set_xlabel(unit)
  axes.set_ylabel('images')
  axes.yaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
  axes.grid(False, axis='x')
  return figure


def boxes(groups: Classes, names: Sequence[str], unit: str, limits: tuple[float, float]) -> Figure:
  """Middle half, median and the range from the 5th to the 95th percentile of every class.

  Args:
    groups: class and its values.
    names: all classes, which decide on the colours.
    unit: of the values.
    limits: of the axis.
  """
  figure, axes = rows_figure(len(groups))
  for row, (name, values) in enumerate(groups):
    low, q1, median, q3, high = np.percentile(values, [5, 25, 50, 75, 95])
    colour = figures.class_colour(names.index(name))
    axes.plot([low, high], [row, row], color=colour, linewidth=1.2)
    axes.barh(row, q3 - q1, 0.55, left=q1, color=colour, alpha=0.55)
    axes.plot([median, median], [row - 0.28, row + 0.28], color=figures.INK, linewidth=1.6)
  finish_rows(axes, [f'{figures.shorten(name)} ({len(v):,})' for name, v in groups])
  axes.set_xlim(*limits)
  axes.set_xlabel(unit)
  return figure


def bars(
  counts: Mapping[str, float],
  unit: str,
  notes: Sequence[str],
  colours: Sequence[str] | None = None,
  intervals: Sequence[tuple[float, float]] | None = None,
) -> Figure:
  """Horizontal bars, each with a note at its end.

  Args:
    counts: name -> length.
    unit: of the lengths.
    notes: text at the end of each bar.
    colours: of each bar.
    intervals: low and high of each bar.
  """
  figure, axes = rows_figure(len(counts))
  ends = list(counts.values())
  for row, length in enumerate(counts.values()):
    axes.barh(row, length, 0.7, color=colours[row] if colours else figures.VALIDATION_COLOUR)
    if intervals:
      axes.plot(intervals[row], [row, row], color=figures.INK, linewidth=1.2)
      ends[row] = max(length, intervals[row][1])
  largest = max([*ends, 1e-9])
  for row, note in enumerate(notes):
    axes.text(ends[row] + 0.02 * largest, row, note, va='center', fontsize=7.5)
  finish_rows(axes, [figures.shorten(name, 20) for name in counts])
  axes.set_xlim(0, largest * (1.12 + 0.028 * max(map(len, notes), default=0)))
  if '%' in unit:  # room for the notes is no room for more than all
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= 100])
  axes.set_xlabel(unit)
  return figure


def stacked(shares: Mapping[str, Sequence[float]], parts: Mapping[str, str], unit: str) -> Figure:
  """Bars of several parts that add up to the whole.

  Args:
    shares: name -> length of every part, in percent.
    parts: part -> colour.
    unit: of the lengths.
  """
  figure, axes = rows_figure(len(shares), legend=True)
  left = np.zeros(len(shares))
  for place, (part, colour) in enumerate(parts.items()):
    widths = np.array([row[place] for row in shares.values()])
    axes.barh(np.arange(len(shares)), widths, 0.7, left=left, color=colour, label=part)
    for row, width in enumerate(widths):
      if width >= 9:
        ink = 'white' if colour != figures.FAINT else figures.INK
        middle = left[row] + width / 2
        axes.text(middle, row, f'{width:.0f}', ha='center', va='center', color=ink, fontsize=7.5)
    left += widths
  finish_rows(axes, [figures.shorten(name, 20) for name in shares])
  axes.set_xlim(0, 100)
  axes.set_xlabel(unit)
  axes.grid(False)
  figures.add_legend(figure, axes)
  return figure


def rows_figure(rows: int, legend: bool = False) -> tuple[Figure, Axes]:
  """A figure that is as high as its rows need."""
  return figures.new_figure(0.75 + 0.27 * max(rows, 2) + 0.25 * legend)


def finish_rows(axes: Axes, names: Sequence[str]) -> None:
  """Names the rows, the first on top."""
  axes.set_yticks(range(len(names)), list(names))
  axes.set_ylim(len(names) - 0.45, -0.55)
  axes.tick_params(axis='y', length=0)
  axes.grid(False, axis='y')
