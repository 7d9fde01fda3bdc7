"""Counts of a data set as rows of text for the page's tables."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from lesionjax.report import figures, images
from lesionjax.report.data import sample as sampling
from lesionjax.report.data import statistics
from lesionjax.report.data.table import DataTable, Prepared

HAIR_LIMITS = (0.005, 0.01, 0.02, 0.05)
_SIZES = 12
_EXAMPLES = 7


def class_rows(table: DataTable) -> list[dict[str, Any]]:
  """One row a class: count in every split, how far it is from its share, and the total."""
  counts, whole = statistics.class_counts(table), statistics.totals(table)
  apart, labelled = statistics.deviations(table), max(sum(whole.values()), 1)
  rows = []
  for index, name in enumerate(counts[table.splits[0]]):
    cells = []
    for split in table.splits:
      off = apart.get(split, {}).get(name)
      cells.append(
        {
          'count': f'{counts[split][name]:,}',
          'off': '' if off is None else _signed(100 * off),
        }
      )
    total = whole.get(name, 0)
    rows.append(
      {
        'name': name,
        'colour': figures.class_colour(index),
        'cells': cells,
        'total': f'{total:,}',
        'share': f'{100 * total / labelled:.1f} %' if total else '',
      }
    )
  return rows


def split_rows(table: DataTable) -> list[dict[str, str]]:
  """One row a split: images, groups, folds."""
  rows = []
  for split in table.splits:
    images_here = int((table.split == split).sum())
    rows.append(
      {
        'name': split,
        'images': f'{images_here:,}',
        'share': f'{100 * images_here / len(table):.1f} %',
        'groups': f'{statistics.groups(table, split):,}',
      }
    )
  return rows


def cross_rows(table: DataTable, key: str) -> list[dict[str, Any]]:
  """One row a value of a text feature: images, and images of every class.

  Returns:
    name ('not stated' where missing), images, and cells with count, shade (share of the row, 0..1)
    and title; no cells where there are no classes. Empty where the feature is never told.
  """
  values = table.texts.get(key)
  if values is None or not (values != '').any():
    return []
  rows = []
  counts = statistics.cross_counts(values, table.label, len(table.class_names))
  for name, classes in counts.items():
    labelled = max(sum(classes), 1)
    rows.append(
      {
        'name': name or 'not stated',
        'images': f'{int((values == name).sum()):,}',
        'cells': [
          {
            'count': f'{count:,}',
            'shade': round(count / labelled, 3),
            'title': f'{100 * count / labelled:.1f} % of {name or "not stated"}',
          }
          for count in classes
        ],
      }
    )
  return rows


def missing_rows(table: DataTable) -> list[dict[str, Any]]:
  """One row a feature: images without it in every split, and their share of all."""
  rows = []
  for name, by_split in statistics.missing_values(table).items():
    total = sum(by_split.values())
    rows.append(
      {
        'name': name,
        'cells': [f'{by_split[split]:,}' for split in table.splits],
        'total': f'{total:,}',
        'share': f'{100 * total / len(table):.1f} %',
        'none': total == 0,
      }
    )
  return rows


def size_rows(table: DataTable) -> list[dict[str, str]]:
  """The most frequent sizes, and how many images have another."""
  sizes = statistics.size_counts(table.size_px)
  rows = [(f'{w} x {h}', n) for (w, h), n in list(sizes.items())[:_SIZES]]
  if len(sizes) > _SIZES:
    rest = len(table) - sum(n for _, n in rows)
    rows.append((f'{len(sizes) - _SIZES} further sizes', rest))
  return [
    {'name': name, 'images': f'{n:,}', 'share': f'{100 * n / len(table):.1f} %'} for name, n in rows
  ]


def hair_rows(measured: sampling.Sample) -> list[dict[str, Any]]:
  """One row a detector: share of images with at least so much hair."""
  names = {sampling.TRUE_HAIR: 'as drawn (stored masks)'}
  return [
    {
      'name': names.get(name, f'{name} detector'),
      'cells': [f'{100 * float((pixels >= limit).mean()):.0f} %' for limit in HAIR_LIMITS],
      'median': f'{100 * float(np.median(pixels)):.2f} %',
    }
    for name, pixels in measured.hair.items()
  ]


def example_groups(table: DataTable, prepared: Prepared, seed: int = 0) -> list[dict[str, Any]]:
  """Training images of every class, drawn at random, with the outline of their mask."""
  groups = []
  for label, rows in sampling.examples(table, _EXAMPLES, seed):
    name = table.class_names[label] if label >= 0 else ''
    shown = [_example(table, prepared, int(row)) for row in rows]
    total = int(((table.split == 'train') & (table.label == label)).sum())
    colour = figures.class_colour(max(label, 0))
    groups.append({'name': name, 'colour': colour, 'total': f'{total:,}', 'figures': shown})
  return groups


def _signed(percent: float) -> str:
  told = f'{percent:+.1f} %'
  return '0.0 %' if told[1:] == '0.0 %' else told


def _example(table: DataTable, prepared: Prepared, row: int) -> dict[str, Any]:
  pixels = prepared.pixels(str(table.split[row]), int(table.index[row]), ('image', 'mask'))
  image = sampling.image_of(pixels, table, row)
  if 'mask' in pixels:
    mask = sampling.mask_of(pixels, table, row)
    size = image.shape[1::-1]
    inside = (cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 127).astype(np.uint8)
    outline, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, outline, -1, (255, 255, 255), 1, cv2.LINE_AA)
  small = images.shrink(image)
  age = table.age[row] if table.age is not None else np.nan
  about = [table.texts[key][row] for key in ('sex', 'site') if key in table.texts]
  if np.isfinite(age):
    about.insert(0, f'{age:.0f} years')
  return {
    'src': images.data_uri(small),
    'image_id': str(table.texts['image_id'][row]),
    'about': ', '.join(str(text) for text in about if text),
    'width': small.shape[1],
    'height': small.shape[0],
  }
