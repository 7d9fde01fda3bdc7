"""Figures of what the pixels say: sizes, brightness, colour, hair and lesion area."""

from __future__ import annotations

import numpy as np

from lesionjax.evaluation import intervals
from lesionjax.report import figures
from lesionjax.report.data import drawing, statistics
from lesionjax.report.data.sample import TRUE_HAIR, Sample
from lesionjax.report.data.table import DataTable
from lesionjax.report.figures import Plot

HAIRY = 0.02
"""An image counts as hairy from this share of its pixels on."""

_BOX_CAPTION = 'bar: middle half; mark: median; line: 5th to 95th percentile'
_CHANNELS = {'red': '#C0392B', 'green': '#2E8B57', 'blue': '#2C6FBB'}
_DETECTORS = {'tuned': ('#0B4F6C', '-'), 'published': ('#E69F00', (0, (5, 1.6))),
              TRUE_HAIR: ('#222222', (0, (1.2, 1.2)))}  # fmt: skip


def size_plots(table: DataTable) -> list[Plot]:
  """Width and height of all images, where they differ."""
  sizes = statistics.size_counts(table.size_px)
  if len(sizes) < 2:
    return []
  figure, axes = figures.new_figure(3.4)
  counts = np.array(list(sizes.values()))
  widths, heights = np.array(list(sizes)).T
  axes.scatter(
    widths,
    heights,
    s=8 + 500 * counts / counts.sum(),
    color=figures.VALIDATION_COLOUR,
    alpha=0.55,
    linewidth=0,
  )
  axes.set_xlim(0, 1.08 * widths.max())
  axes.set_ylim(0, 1.12 * heights.max())
  axes.set_xlabel('width (px)')
  axes.set_ylabel('height (px)')
  alt = f'{len(sizes)} sizes, widths {widths.min()} to {widths.max()}, heights {heights.min()} to '
  alt += f'{heights.max()} px.'
  return [Plot('sizes', 'Width and height', alt, figure, 'area of a dot: share of the images')]


def brightness_plots(table: DataTable, sample: Sample) -> list[Plot]:
  """Brightness between images, by class, and the mean of every channel."""
  values = sample.brightness
  figure = drawing.histogram(values, np.arange(0.0, 257.0, 8.0), 'mean grey level (0 to 255)', 2.9)
  told = f'mean {values.mean():.1f}, standard deviation {values.std():.2f}'
  plots = [Plot('brightness', 'Brightness', f'Mean grey level of an image: {told}.', figure, told)]
  plots.append(_channel_plot(sample))
  return plots + _class_boxes(
    table, sample.rows, values, 'brightness', 'Brightness', 'mean grey level (0 to 255)', (0, 255)
  )


def hair_plots(table: DataTable, sample: Sample) -> list[Plot]:
  """Share of hairy images by the threshold that calls them so, and by class."""
  if not sample.hair:
    return []
  figure, axes = figures.new_figure(3.1)
  grid = np.linspace(0, 0.2, 81)
  told = []
  for name, pixels in sample.hair.items():
    curve = [100 * float((pixels >= limit).mean()) for limit in grid]
    colour, dash = _DETECTORS[name]
    label = 'drawn hairs' if name == TRUE_HAIR else f'{name} detector'
    axes.plot(100 * grid[1:], curve[1:], color=colour, linestyle=dash, label=label)
    told.append(f'{label} {100 * (pixels >= HAIRY).mean():.0f} %')
  label = f'{100 * HAIRY:.0f} %'
  axes.axvline(100 * HAIRY, color=drawing.GREY, linewidth=1, linestyle=(0, (2, 2)), label=label)
  axes.set_xlim(0, 20)
  axes.set_ylim(0, 102)
  axes.set_xlabel('at least so many pixels called hair (%)')
  axes.set_ylabel('images (%)')
  figures.add_legend(figure, axes)
  alt = f'Images with at least {label} of their pixels called hair: {", ".join(told)}.'
  plots = [Plot('hair', 'Images with hair, by threshold', alt, figure)]
  labels = table.label[sample.hair_rows]
  hairy = (sample.hair[TRUE_HAIR if TRUE_HAIR in sample.hair else 'tuned'] >= HAIRY).astype(float)
  return plots + _class_shares(
    table, labels, hairy, 'hair_by_class', f'Images with at least {label} hair, by class'
  )


def lesion_plots(table: DataTable, sample: Sample) -> list[Plot]:
  """Share of the image that the lesion covers, and how often it is cut off."""
  if sample.lesion_area is None or sample.lesion_at_border is None:
    return []
  area = 100 * sample.lesion_area
  figure = drawing.histogram(area, np.arange(0.0, 101.0, 4.0), 'lesion (% of the image)', 2.9)
  told = f'median {np.median(area):.0f} %'
  plots = [Plot('lesion_area', 'Area of the lesion', f'Lesion area, {told}.', figure, told)]
  plots += _class_boxes(
    table, sample.rows, area, 'lesion_area', 'Area of the lesion', 'lesion (% of the image)',
    (0, 100),
  )  # fmt: skip
  return plots + _class_shares(
    table,
    table.label[sample.rows],
    sample.lesion_at_border.astype(float),
    'lesion_at_border',
    'Lesions that touch the border, by class',
  )


def _channel_plot(sample: Sample) -> Plot:
  figure, axes = figures.new_figure(2.9)
  edges = np.arange(0.0, 257.0, 8.0)
  means = sample.channels.mean(0)
  for channel, (name, colour) in enumerate(_CHANNELS.items()):
    counts, _ = np.histogram(sample.channels[:, channel], edges)
    label = f'{name} {means[channel]:.0f}'
    axes.plot(edges[:-1] + 4, counts, color=colour, label=label)
  axes.set_xlim(0, 255)
  axes.set_ylim(bottom=0)
  axes.set_xlabel('mean of the channel (0 to 255)')
  axes.set_ylabel('images')
  figures.add_legend(figure, axes)
  told = figures.describe(list(_CHANNELS), [f'{mean:.0f}' for mean in means])
  red = 100 * float((sample.channels.argmax(1) == 0).mean())
  caption = f'red is the brightest channel in {red:.1f} % of the images'
  return Plot('channels', 'Red, green and blue', f'Means: {told}.', figure, caption)


def _class_boxes(
  table: DataTable,
  rows: np.ndarray,
  values: np.ndarray,
  name: str,
  title: str,
  unit: str,
  limits: tuple[float, float],
) -> list[Plot]:
  groups = statistics.by_class(values, table.label[rows], table.class_names)
  if len(groups) < 2:
    return []
  figure = drawing.boxes(groups, list(table.class_names), unit, limits)
  told = figures.describe([g for g, _ in groups], [f'{np.median(v):.0f}' for _, v in groups])
  alt = f'{title} by class, medians: {told}.'
  return [Plot(f'{name}_by_class', f'{title} by class', alt, figure, _BOX_CAPTION)]


def _class_shares(
  table: DataTable, labels: np.ndarray, flags: np.ndarray, name: str, title: str
) -> list[Plot]:
  """Share of images for which a flag is set, in every class, with Wilson's interval."""
  groups = statistics.by_class(flags, labels, table.class_names)
  if len(groups) < 2:
    return []
  shares = [float(values.mean()) for _, values in groups]
  limits = [intervals.wilson(p, len(v)) for p, (_, v) in zip(shares, groups, strict=True)]
  figure = drawing.bars(
    {group: 100 * share for (group, _), share in zip(groups, shares, strict=True)},
    'share of the images (%)',
    [f'{100 * p:.0f} % of {len(v):,}' for p, (_, v) in zip(shares, groups, strict=True)],
    [figures.class_colour(table.class_names.index(group)) for group, _ in groups],
    [(100 * low, 100 * high) for low, high in limits],
  )
  told = figures.describe([group for group, _ in groups], [f'{100 * p:.0f} %' for p in shares])
  return [Plot(name, title, f'{title}: {told}.', figure, 'line: 95 % interval')]
