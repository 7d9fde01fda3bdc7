"""Figures and templates become one page that needs no other file."""

from __future__ import annotations

import base64
import hashlib
import pathlib
from collections.abc import Mapping, Sequence

import jinja2
import markupsafe
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
  made = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  made.globals |= {'script': _script, 'script_hash': _script_hash}
  return made


def _script(name: str) -> markupsafe.Markup:
  """A script of the templates' folder, to stand in `<script>` as it is."""
  return markupsafe.Markup((_TEMPLATES / name).read_text())


def _script_hash(name: str) -> markupsafe.Markup:
  """What the page's Content-Security-Policy allows: this script and no other, wherever it stands.

  https://www.w3.org/TR/CSP3/#grammardef-hash-source
  """
  digest = hashlib.sha256((_TEMPLATES / name).read_text().encode()).digest()
  return markupsafe.Markup(f"'sha256-{base64.b64encode(digest).decode()}'")
