"""What image files and pixels say to a claim."""

from __future__ import annotations

import numpy as np

from lesionjax.report.data import statistics
from lesionjax.report.data.claim import Facts, Finding, percent


def jpeg(facts: Facts) -> Finding:
  """Images are JPEG files."""
  share = facts.table.is_jpeg.mean()
  return Finding(
    f'{percent(share)} of the images are JPEG files', 'holds' if share == 1 else 'partly'
  )


def png(facts: Facts) -> Finding:
  """Images are PNG files."""
  share = facts.table.is_jpeg.mean()
  return Finding(
    f'{percent(share)} of the images are JPEG files', 'does not hold' if share else 'holds'
  )


def one_size(facts: Facts) -> Finding:
  """All images are 600x450 px."""
  sizes = statistics.size_counts(facts.table.size_px)
  (width, height), count = next(iter(sizes.items()))
  return Finding(
    f'{percent(count / len(facts.table))} of the images are {width}x{height} px',
    'holds' if list(sizes) == [(600, 450)] else 'does not hold',
  )


def masks(facts: Facts) -> Finding:
  """Every image has a mask."""
  present = facts.table.has_mask
  count = 0 if present is None else int(present.sum())
  whole = count == len(facts.table)
  return Finding(f'{count:,} masks of {len(facts.table):,} images', 'holds' if whole else 'partly')


def one_lesion(facts: Facts) -> Finding:
  """Every image shows one lesion."""
  regions = facts.sample.lesion_regions
  if regions is None:
    return Finding('no masks here', 'cannot be judged')
  share = float((regions == 1).mean())
  return Finding(
    f'{percent(share)} of {len(regions):,} masks are one region',
    'holds' if share > 0.99 else 'partly',
  )


def small_lesion(facts: Facts) -> Finding:
  """How much of the image the lesions cover."""
  area = facts.sample.lesion_area
  if area is None:
    return Finding('no masks here', 'cannot be judged')
  median, small = float(np.median(area)), float((area < 0.5).mean())
  return Finding(
    f'the median lesion covers {percent(median, 0)} of the image; {percent(small)} cover less than '
    'half',
    'holds' if median < 0.25 else 'partly' if median < 0.5 else 'does not hold',
    f'Of {len(area):,} images.',
  )


def sizes_2019(facts: Facts) -> Finding:
  """Sizes from 600x450 to 1024x1024, 1024x768 in the median."""
  sizes = np.array(facts.table.size_px)
  low, high = sizes.min(0), sizes.max(0)
  median = np.median(sizes, axis=0)
  right = low.tolist() == [600, 450] and high.tolist() == [1024, 1024]
  return Finding(
    f'width {low[0]} to {high[0]}, height {low[1]} to {high[1]}, median {median[0]:.0f}x'
    f'{median[1]:.0f} px',
    'holds' if right and median.tolist() == [1024, 768] else 'does not hold',
  )


def sizes_2020(facts: Facts) -> Finding:
  """Sizes from 640x480 to 6000x4000."""
  sizes = np.array(facts.table.size_px)
  low, high = sizes.min(0).tolist(), sizes.max(0).tolist()
  return Finding(
    f'width {low[0]} to {high[0]}, height {low[1]} to {high[1]} px',
    'holds' if (low, high) == ([640, 480], [6000, 4000]) else 'does not hold',
  )


def hair(facts: Facts) -> Finding:
  """88 % of the images have hair."""
  told = []
  for name, pixels in facts.sample.hair.items():
    hairy, with_less = float(np.mean(pixels >= 0.02)), float(np.mean(pixels >= 0.01))
    told.append(f'{name} {percent(hairy, 0)} ({percent(with_less, 0)})')
  tuned = facts.sample.hair.get('tuned', np.zeros(1))
  return Finding(
    f'at least 2 % (1 %) of the pixels called hair in {len(tuned):,} images: ' + ', '.join(told),
    'holds' if abs(np.mean(tuned >= 0.02) - 0.88) < 0.05 else 'does not hold',
    'It names no threshold; its own detector calls something hair in nearly every image, hairy or '
    'not.',
  )


def brightness(facts: Facts) -> Finding:
  """A standard deviation of 29.13."""
  between, within = facts.sample.brightness.std(), facts.sample.contrast.mean()
  return Finding(
    f'standard deviation {between:.2f} of the mean grey level between images, {within:.2f} of the '
    'grey levels within an image, on average',
    'holds' if min(abs(between - 29.13), abs(within - 29.13)) < 1 else 'does not hold',
    'It does not say which of the two is meant.',
  )


def red(facts: Facts) -> Finding:
  """Red is the brightest channel of most images."""
  share = float((facts.sample.channels.argmax(1) == 0).mean())
  return Finding(
    f'red is the brightest channel in {percent(share)} of {len(facts.sample.rows):,} images',
    'holds' if share > 0.5 else 'does not hold',
  )
