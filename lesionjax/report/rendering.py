"""Figures and templates become one page that needs no other file."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import jinja2
from etils import epath

from lesionjax.host import files
from lesionjax.report import figures

_TEMPLATES = pathlib.Path(__file__).parent / 'templates'

Shown = dict[str, list[dict[str, str]]]


def write_figures(directory: epath.PathLike, plots: Mapping[str, Sequence[figures.Plot]]) -> Shown:
  """Writes figures as SVG and PNG; to be called within `figures.style()`.

  Args:
    directory: where they are written.
    plots: by place in the page.

  Returns:
    By place, what the page's template shows: src, title, alt and caption of every figure. The src
    is the SVG file itself, so that page and file cannot differ.
  """
  directory = epath.Path(directory)
  # All are drawn before the first is written.
  encoded = {
    place: [(plot, figures.encode(plot)) for plot in some] for place, some in plots.items()
  }
  for group in encoded.values():
    for plot, image in group:
      files.write_bytes(directory / f'{plot.name}.svg', image.svg)
      files.write_bytes(directory / f'{plot.name}.png', image.png)
  return {
    place: [
      {'src': image.data_uri, 'title': plot.title, 'alt': plot.alt, 'caption': plot.caption}
      for plot, image in group
    ]
    for place, group in encoded.items()
  }


def environment() -> jinja2.Environment:
  """The templates: escaping everything, and refusing a name that is not given."""
  return jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
