"""Figures of what the tables say: classes, groups, sex, age and site."""

from __future__ import annotations

import numpy as np

from lesionjax.report import figures, figures_training
from lesionjax.report.data import drawing, statistics
from lesionjax.report.data.table import DataTable
from lesionjax.report.figures import Plot

_SEXES = {'female': '#B5651D', 'male': '#0B4F6C', 'not stated': figures.FAINT}


def class_plots(table: DataTable) -> list[Plot]:
  """Class shares by split; none without classes."""
  counts = statistics.class_counts(table)
  if not table.class_names:
    return []
  every = list(counts[table.splits[0]])
  names = [name for name in every if any(counts[split][name] for split in counts)]
  plot = figures_training.class_distribution(
    {split: [counts[split][name] for name in names] for split in counts},
    names,
    [figures.class_colour(every.index(name)) for name in names],
  )
  return [plot]


def group_plots(table: DataTable) -> list[Plot]:
  """How many images a group has."""
  bins = statistics.binned_group_sizes(statistics.group_sizes(table))
  figure = drawing.bars(
    {f'{name} {"image" if name == "1" else "images"}': n for name, n in bins.items()},
    'groups',
    [f'{n:,}' for n in bins.values()],
  )
  told = figures.describe(list(bins), [f'{n:,}' for n in bins.values()])
  return [Plot('group_sizes', 'Images of a group', f'Groups by number of images: {told}.', figure)]


def sex_plots(table: DataTable) -> list[Plot]:
  """Sex of all and of every class; none where it is never told."""
  sex = table.texts.get('sex')
  if sex is None or not (sex != '').any():
    return []
  rows = {'all images': sex}
  rows |= {name: sex[table.label == i] for i, name in enumerate(table.class_names)}
  rows = {name: values for name, values in rows.items() if len(values)}
  shares = {
    f'{figures.shorten(name, 12)} ({len(values):,})': [
      100 * float((values == key).mean()) for key in ('female', 'male', '')
    ]
    for name, values in rows.items()
  }
  figure = drawing.stacked(shares, _SEXES, 'share of the images (%)')
  told = '; '.join(
    f'{name}: {female:.0f} % female, {male:.0f} % male'
    for name, (female, male, _) in shares.items()
  )
  return [Plot('sex', 'Sex', f'Sex, {told}.', figure)]


def age_plots(table: DataTable) -> list[Plot]:
  """Ages of all, and of every class; none where none is known."""
  if table.age is None or not np.isfinite(table.age).any():
    return []
  known = table.age[np.isfinite(table.age)]
  top = max(90.0, 5 * np.ceil((known.max() + 1) / 5))
  figure = drawing.histogram(known, np.arange(-2.5, top + 2.5, 5), 'age (years)', 2.9)
  middle = f'median {np.median(known):.0f} years'
  alt = f'Ages of {len(known):,} images, {middle}, from {known.min():.0f} to {known.max():.0f}.'
  plots = [Plot('age', 'Age', alt, figure, f'{len(known):,} images whose age is known; {middle}')]
  groups = statistics.by_class(table.age, table.label, table.class_names)
  if groups:
    figure = drawing.boxes(groups, list(table.class_names), 'age (years)', (0, top))
    plots.append(
      Plot('age_by_class', 'Age by class', _medians('Age', groups), figure, _BOX_CAPTION)
    )
  return plots


def site_plots(table: DataTable) -> list[Plot]:
  """Images of every place on the body; none where it is never told."""
  site = table.texts.get('site')
  counts = statistics.value_counts(site) if site is not None else {}
  if site is None or not counts:
    return []
  shown = dict(list(counts.items())[:16])
  notes = [f'{n:,} ({100 * n / len(table):.1f} %)' for n in shown.values()]
  figure = drawing.bars(shown, 'images', notes)
  empty = int((site == '').sum())
  caption = f'{empty:,} images without a site' if empty else 'known for all images'
  alt = f'Images by site: {figures.describe(list(shown), [f"{n:,}" for n in shown.values()])}.'
  return [Plot('site', 'Site', alt, figure, caption)]


_BOX_CAPTION = 'bar: middle half; mark: median; line: 5th to 95th percentile'


def _medians(title: str, groups: drawing.Classes) -> str:
  told = [f'{np.median(values):.0f}' for _, values in groups]
  return f'{title} by class, medians: {figures.describe([name for name, _ in groups], told)}.'
