"""Figures of what single layers of a network see."""

from __future__ import annotations

import dataclasses
import textwrap

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lesionjax.report import overlays
from lesionjax.report.figures import Plot

_CELL_INCH = 1.45
_COLUMNS = 6


@dataclasses.dataclass(frozen=True)
class Cell:
  """A picture of a sheet.

  Attributes:
    image: uint8 [H, W, 3] RGB, or float [h, w], drawn in colours from its smallest to its largest
      value.
    title: a line above it, or two.
  """

  image: np.ndarray
  title: str = ''


def sheet(name: str, title: str, alt: str, rows: list[list[Cell]], caption: str = '') -> Plot:
  """Draws pictures in rows and columns.

  Args:
    name: of the file, without suffix.
    title: above the sheet.
    alt: what it shows, for those who cannot see it.
    rows: cells of every row; shorter rows end in blanks.
    caption: below the sheet.
  """
  columns = max(map(len, rows))
  size = max(3.4, columns * _CELL_INCH), len(rows) * (_CELL_INCH + 0.22) + 0.8
  figure = Figure(figsize=size, layout='constrained')
  FigureCanvasAgg(figure)
  figure.suptitle(title, fontsize=10)
  axes = figure.subplots(len(rows), columns, squeeze=False)
  for row, cells in zip(axes, rows, strict=True):
    for place, cell in zip(row, [*cells, *[None] * (columns - len(cells))], strict=True):
      place.set_axis_off()
      if cell is not None:
        place.imshow(_picture(cell.image), interpolation='nearest')
        place.set_title(cell.title, fontsize=7, pad=2)
  if caption:
    letters = int(size[0] * 19)  # that fit beside each other
    lines = [textwrap.fill(line, letters) for line in caption.split('\n')]
    figure.supxlabel('\n'.join(lines), fontsize=7)
  return Plot(name, title, alt, figure, caption)


def _picture(image: np.ndarray) -> np.ndarray:
  if image.ndim == 3:
    return image
  low, high = float(image.min()), float(image.max())
  return overlays.colour((image - low) / (high - low) if high > low else np.zeros_like(image))


def channels(
  name: str, title: str, seen: np.ndarray, maps: np.ndarray, numbers: list[int], caption: str
) -> Plot:
  """Draws channels of one map of one image, the image first.

  Args:
    name: of the file, without suffix.
    title: above the sheet.
    seen: uint8 [H, W, 3], what the network saw.
    maps: float [h, w, n], the channels shown.
    numbers: of the channels, n.
    caption: below the sheet.
  """
  cells = [Cell(seen, 'as seen')]
  for index, number in enumerate(numbers):
    plane = maps[..., index]
    cells.append(Cell(plane, f'channel {number}\n{plane.min():.2g} to {plane.max():.2g}'))
  rows = [cells[start : start + _COLUMNS] for start in range(0, len(cells), _COLUMNS)]
  alt = f'The image and channels {", ".join(map(str, numbers))} of the map as pictures.'
  return sheet(name, title, alt, rows, caption)
