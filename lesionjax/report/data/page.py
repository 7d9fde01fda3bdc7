"""A prepared data set becomes one self-contained data.html and the figures beside it."""

from __future__ import annotations

import os
from typing import Any

from etils import epath

from lesionjax.host import files
from lesionjax.report import figures, rendering
from lesionjax.report.data import (
  claims,
  figures_pixels,
  figures_table,
  rows,
  sample,
  summary,
)
from lesionjax.report.data.table import DataTable, Prepared

HAIR_IMAGES = 500
_SEED = 0


def write_page(
  name: str,
  out: str | os.PathLike[str],
  data_dir: str | None = None,
  images: int = 5000,
) -> epath.Path:
  """Reads a prepared data set once, measures a sample of its pixels and writes the page.

  Args:
    name: data set, with its configuration after a slash where not the default.
    out: directory for data.html and figures/, or the .html file itself.
    data_dir: where it was prepared; None is TFDS's default.
    images: at most so many images are measured; at most 500 of these are searched for hairs.

  Returns:
    Path of the page: one file, no network, all figures inlined. It shows images of the data set,
    whose licence holds for it too.

  Raises:
    UserError: the data set is not there or damaged, or the page cannot be written.
  """
  prepared = Prepared(name, data_dir)
  table = prepared.read_table()
  measured = sample.measure(table, prepared, images, HAIR_IMAGES, _SEED)
  page = epath.Path(out)
  page = page if page.suffix == '.html' else page / 'data.html'
  context = _context(table, prepared, measured)
  with figures.style():
    context['plots'] = rendering.write_figures(page.parent / 'figures', _plots(table, measured))
  text = rendering.environment().get_template('data.html.j2').render(context)
  # A number and its percent sign stay on one line.
  files.write_text(page, text.replace(' %', '&nbsp;%'))
  return page


def _plots(table: DataTable, measured: sample.Sample) -> dict[str, list[figures.Plot]]:
  return {
    'classes': figures_table.class_plots(table),
    'groups': figures_table.group_plots(table),
    'people': figures_table.age_plots(table) + figures_table.sex_plots(table),
    'site': figures_table.site_plots(table),
    'sizes': figures_pixels.size_plots(table),
    'brightness': figures_pixels.brightness_plots(table, measured),
    'hair': figures_pixels.hair_plots(table, measured),
    'lesion': figures_pixels.lesion_plots(table, measured),
  }


def _context(table: DataTable, prepared: Prepared, measured: sample.Sample) -> dict[str, Any]:
  title, sentences = summary.summary(table)
  told = claims.rows(table, measured)
  return {
    'name': table.name,
    'facts': summary.facts(table),
    'about': table.facts,
    'title': title,
    'sentences': sentences,
    'part': summary.part(table),
    'tiles': summary.tiles(table),
    'missing': table.missing,
    'splits': table.splits,
    'class_names': table.class_names,
    'class_rows': rows.class_rows(table) if table.class_names else [],
    'split_rows': rows.split_rows(table),
    'group_sentences': summary.group_sentences(table),
    'crosses': {
      key: rows.cross_rows(table, key) for key in ('site', 'source', 'confirmation', 'diagnosis')
    },
    'missing_rows': rows.missing_rows(table),
    'size_rows': rows.size_rows(table),
    'seen': summary.seen(table, measured),
    'hair_rows': rows.hair_rows(measured),
    'hair_limits': [f'{100 * limit:g} %' for limit in rows.HAIR_LIMITS],
    'hair_images': f'{len(measured.hair_rows):,}',
    'hairy': f'{100 * figures_pixels.HAIRY:g}',
    'side_px': sample.SIDE_PX,
    'lesion_sentences': summary.lesion_sentences(measured),
    'brightness_sentences': summary.brightness_sentences(measured),
    'examples': rows.example_groups(table, prepared, _SEED),
    'claims': told,
    'verdicts': claims.sentence(told),
  }
