"""Data tables and samples made by hand."""

from __future__ import annotations

import numpy as np

from lesionjax.report.data.sample import Sample
from lesionjax.report.data.table import TEXTS, DataTable

FACTS = {
  'version': '1.0.0',
  'description': 'Made by hand.',
  'config_description': '',
  'licence': 'CC0',
  'citation': '',
  'homepage': '',
  'preprocessing': '',
}


def table(
  labels,
  splits='train',
  class_names=('a', 'b'),
  name='hand/made',
  size_px=(8, 6),
  age=None,
  mask=False,
  facts=None,
  missing=(),
  **texts,
) -> DataTable:
  """A table of as many rows as labels; every text is '' and every image a group if not given."""
  count = len(labels)
  ids = [f'i{index}' for index in range(count)]
  columns = dict.fromkeys(TEXTS[:-1], [''] * count) | {'image_id': ids, 'group_id': ids} | texts
  split = [splits] * count if isinstance(splits, str) else splits
  sizes = np.broadcast_to(np.array(size_px, np.int32), (count, 2))
  return DataTable(
    name=name,
    facts=FACTS | (facts or {}),
    class_names=tuple(class_names),
    split=np.array(split, np.str_),
    index=np.arange(count),
    label=np.array(labels, np.int32),
    texts={key: np.array(values, np.str_) for key, values in columns.items()},
    age=np.full(count, np.nan) if age is None else np.array(age, float),
    size_px=sizes,
    is_jpeg=np.ones(count, bool),
    has_mask=np.ones(count, bool) if mask else None,
    missing=missing,
  )


def sample(rows=4, mask=False) -> Sample:
  """Grey images: brightness 100, 110, ..., red the brightest in all but the first."""
  at = np.arange(rows)
  return Sample(
    rows=at,
    brightness=100.0 + 10 * at,
    contrast=np.full(rows, 5.0),
    channels=np.stack([np.where(at == 0, 50.0, 200.0), np.full(rows, 100.0), np.zeros(rows)], 1),
    hair_rows=at[:2],
    hair={'tuned': np.array([0.0, 0.05])[:rows], 'published': np.array([0.3, 0.4])[:rows]},
    lesion_area=np.full(rows, 0.2) if mask else None,
    lesion_at_border=at == 0 if mask else None,
    lesion_regions=np.ones(rows, int) if mask else None,
  )
