"""The look of every figure: colours of classes, axes, legends, and encoding as SVG and PNG."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's colours for colour-blind readers (https://jfly.uni-koeln.de/color), their yellow
# replaced by a brown that is visible on white, grey added.
PALETTE = (
  '#0072B2',
  '#E69F00',
  '#009E73',
  '#D55E00',
  '#56B4E9',
  '#CC79A7',
  '#222222',
  '#8C6D1F',
  '#999999',
)
TRAIN_COLOUR, VALIDATION_COLOUR = '#9AA5B1', '#0B4F6C'
INK, FAINT = '#1F2933', '#CBD2D9'
WIDTH_INCH = 4.3  # 413 px: legible on a telephone, two or three side by side on a desk

_STYLE: Any = {
  'font.size': 9.0,
  'font.family': 'DejaVu Sans',  # comes with matplotlib: the same figure on every machine
  'text.parse_math': False,  # a class name may hold a dollar sign
  'text.color': INK,
  'axes.labelcolor': INK,
  'axes.edgecolor': '#7B8794',
  'axes.linewidth': 0.8,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.axisbelow': True,
  'grid.color': '#E4E7EB',
  'grid.linewidth': 0.7,
  'xtick.color': INK,
  'ytick.color': INK,
  'xtick.major.size': 3.0,
  'ytick.major.size': 3.0,
  'legend.frameon': False,
  'legend.fontsize': 8.5,
  'lines.linewidth': 1.7,
  'svg.fonttype': 'path',
}


@dataclasses.dataclass(frozen=True)
class Plot:
  """A figure of the report."""

  name: str  # file name in figures/, without suffix
  title: str
  alt: str  # what the figure shows, for those who cannot see it
  figure: Figure
  caption: str = ''


@dataclasses.dataclass(frozen=True)
class Encoded:
  """A figure as bytes."""

  svg: bytes
  png: bytes

  @property
  def data_uri(self) -> str:
    """The SVG as the source of an <img>: crisp, without scripts, ids apart from the page's."""
    return 'data:image/svg+xml;base64,' + base64.b64encode(self.svg).decode()


def style() -> Any:
  """Context in which figures are drawn and encoded."""
  return mpl.rc_context(_STYLE)


def new_figure(height_inch: float = 3.1, equal: bool = False) -> tuple[Figure, Axes]:
  """A figure of the common width with one pair of axes."""
  figure = Figure(figsize=(WIDTH_INCH, height_inch), layout='constrained')
  FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  axes.grid(True)
  if equal:
    axes.set_aspect('equal')
  return figure, axes


def class_colour(index: int) -> str:
  """Colour of a class, the same in every figure and in the page."""
  return PALETTE[index % len(PALETTE)]


def class_line(index: int) -> dict[str, Any]:
  """Colour and dash of a class's line: neighbours in the palette also differ in dash."""
  dashes = ('-', (0, (5, 1.6)), (0, (1.2, 1.2)))
  turn = index // len(PALETTE) + (index % len(PALETTE)) // 5
  return {'color': class_colour(index), 'linestyle': dashes[min(turn, 2)]}


def shorten(name: str, size: int = 16) -> str:
  """A class name of at most `size` characters, to fit beside an axis."""
  return name if len(name) <= size else name[: size - 3] + '...'


def add_legend(figure: Figure, axes: Axes) -> None:
  """Puts the legend below the axes, in as many columns as its longest entry allows."""
  handles, labels = axes.get_legend_handles_labels()
  if not handles:
    return
  columns = max(1, min(len(handles), 5, 58 // (max(map(len, labels)) + 5)))
  figure.legend(handles, labels, loc='outside lower center', ncols=columns, handlelength=2.2)


def encode(plot: Plot) -> Encoded:
  """Draws a figure as SVG and as PNG of 200 dots per inch."""
  svg, png = io.BytesIO(), io.BytesIO()
  salt: Any = {'svg.hashsalt': plot.name}
  with mpl.rc_context(salt):
    plot.figure.savefig(svg, format='svg', metadata={'Date': None})
  plot.figure.set_layout_engine('none')  # it is laid out now; doing it again takes half the time
  plot.figure.savefig(png, format='png', dpi=200, metadata={'Software': None})
  return Encoded(svg.getvalue(), png.getvalue())


def describe(names: Sequence[str], values: Sequence[str]) -> str:
  """'a 1, b 2, c 3' for alt texts."""
  return ', '.join(f'{name} {value}' for name, value in zip(names, values, strict=True))
