"""What a data set is, in sentences."""

from __future__ import annotations

import numpy as np

from lesionjax.report.data import statistics
from lesionjax.report.data.claim import PUBLISHED
from lesionjax.report.data.sample import Sample
from lesionjax.report.data.table import DataTable


def facts(table: DataTable) -> list[str]:
  """The line below the title: version, licence, images."""
  told = [table.facts.get('version', ''), table.facts.get('licence', '')]
  return [fact for fact in told if fact] + [f'{len(table):,} images']


def summary(table: DataTable) -> tuple[str, list[str]]:
  """The headline and the sentences below it."""
  counts = statistics.totals(table)
  classes = f'of {len(counts)} classes ' if counts else 'without classes '
  title = f'{len(table):,} images {classes}in {statistics.groups(table):,} groups'
  sentences = []
  if (found := statistics.imbalance(counts)) is not None:
    most, least, ratio = found
    share = 100 * counts[most] / sum(counts.values())
    sentences.append(
      f'{most} holds {share:.1f} % of the labelled images and is {ratio:.1f} times as frequent as '
      f'{least}: always answering {most} is right in {share:.1f} % of the cases.'
    )
    sentences.append(_deviation(table))
  divided = statistics.divided_groups(table)
  sentences.append(
    f'{divided:,} {"group lies" if divided == 1 else "groups lie"} in more than one split: results '
    'on test are too good.'
    if divided
    else 'No group lies in more than one split.'
  )
  sizes = statistics.size_counts(table.size_px)
  (width, height), most_common = next(iter(sizes.items()))
  sentences.append(
    f'All images are {width}x{height} px.'
    if len(sizes) == 1
    else f'Images have {len(sizes):,} sizes; {100 * most_common / len(table):.0f} % are '
    f'{width}x{height} px.'
  )
  return title, sentences


def part(table: DataTable) -> str:
  """That this is only a part of the published data set; '' where it is whole or not known."""
  published, here = PUBLISHED.get(table.base_name), int(table.ours.sum())
  if published is None or here >= published.images:
    return ''
  return (
    f'This is a part of the published data set: {here:,} of its {published.images:,} images, so '
    'that counts, shares and claims about the whole cannot be read off this page.'
  )


def _deviation(table: DataTable) -> str:
  """The class and split that are farthest from a proportional share."""
  found = [
    (abs(off), off, name, split)
    for split, classes in statistics.deviations(table).items()
    for name, off in classes.items()
  ]
  if not found:
    return ''
  _, off, name, split = max(found)
  return (
    f'A class is at most {100 * abs(off):.1f} % {"above" if off > 0 else "below"} its '
    f'proportional share of a split ({name} in {split}).'
  )


def tiles(table: DataTable) -> list[dict[str, str]]:
  """The headline numbers: title, value and a line below."""
  sizes = statistics.group_sizes(table)
  counts = statistics.totals(table)
  splits = ', '.join(f'{int((table.split == s).sum()):,} {s}' for s in table.splits)
  found = [
    {'title': 'Images', 'value': f'{len(table):,}', 'note': splits},
    {
      'title': 'Groups (lesions or patients)',
      'value': f'{len(sizes):,}',
      'note': f'up to {sizes.max():,} images each; '
      f'{100 * sizes[sizes > 1].sum() / len(table):.0f} % of the images are in groups of several',
    },
  ]
  if (imbalance := statistics.imbalance(counts)) is not None:
    most, least, ratio = imbalance
    note = f'{most} {counts[most]:,} to {least} {counts[least]:,}'
    found.append({'title': 'Class imbalance', 'value': f'{ratio:.1f} : 1', 'note': note})
  note = 'every image of the tables was in the archives'
  if table.missing:
    note = 'named in the tables given, not in the archives'
  found.append({'title': 'Missing images', 'value': f'{len(table.missing):,}', 'note': note})
  return found


def group_sentences(table: DataTable) -> list[str]:
  """What one must know of the groups."""
  sizes, contradicting = statistics.group_sizes(table), statistics.contradicting_groups(table)
  told = [
    f'{int((sizes > 1).sum()):,} of {len(sizes):,} groups have more than one image, the largest '
    f'{sizes.max():,}.'
  ]
  if table.class_names:
    told.append(
      f'{contradicting:,} {"group has" if contradicting == 1 else "groups have"} images of'
      ' different labels.'
      if contradicting
      else 'All images of a group have one label.'
    )
  return told


def seen(table: DataTable, measured: Sample) -> str:
  """Of how many images pixels were measured."""
  ours = int(table.ours.sum()) or len(table)
  if len(measured.rows) == ours:
    return f'all {ours:,} images' + (' outside official test sets' if ours < len(table) else '')
  return f'a random sample (seed 0) of {len(measured.rows):,} of {ours:,} images'


def brightness_sentences(measured: Sample) -> list[str]:
  """Brightness between and within images, and which channel is the brightest."""
  red = float((measured.channels.argmax(1) == 0).mean())
  return [
    f'The mean grey level of an image is {measured.brightness.mean():.1f} on average and varies '
    f'between images with a standard deviation of {measured.brightness.std():.2f}; within an image '
    f'grey levels vary by {measured.contrast.mean():.2f}.',
    f'Red is the brightest channel in {100 * red:.1f} % of the images.',
  ]


def lesion_sentences(measured: Sample) -> list[str]:
  """How large the lesions are, and how often they are cut off; none without masks."""
  area, border, regions = (
    measured.lesion_area,
    measured.lesion_at_border,
    measured.lesion_regions,
  )
  if area is None or border is None or regions is None:
    return []
  low, median, high = 100 * np.percentile(area, [5, 50, 95])
  told = [
    f'The median lesion covers {median:.0f} % of its image; nine of ten cover {low:.0f} to '
    f'{high:.0f} %.',
    f'{100 * float(border.mean()):.1f} % of the lesions touch the border of the image, and '
    f'{100 * float((regions == 1).mean()):.1f} % of the masks are one region.',
  ]
  if count := int((regions == 0).sum()):
    told.append(f'{count:,} {"mask is" if count == 1 else "masks are"} empty.')
  if count := int((area == 1).sum()):
    told.append(f'{count:,} {"mask covers" if count == 1 else "masks cover"} the whole image.')
  return told
