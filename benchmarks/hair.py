"""How good hair removal is, on drawn hairs whose truth is known: `python -m benchmarks.hair`.

Scores `hair.PUBLISHED` and `hair.DEFAULT` on `synthetic_dermoscopy`: its images come with the mask
of their hairs and with a twin without hairs:

  detection   precision, recall and F1 over pixels, strictly and with one pixel of tolerance (every
              pixel that a hair touches at all counts as hair, its faint rim included)
  repair      PSNR and SSIM against the twin inside and outside the hairs, before and after
  harm        share of the pixels that are repainted in images without hair

The defaults were chosen on the validation split; the test split is reported. Values are means over
images with their 10th, 50th and 90th percentile. A table goes to stderr, one JSON line to stdout.
`--sheet=IMAGES.zip --out=DIR` writes pictures of real photographs before and after instead.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds

import data_builders  # noqa: F401 (makes the data set known to TFDS)
from benchmarks import common, hair_scores, hair_sheet
from data_builders.cleaning import hair
from data_builders.errors import UserError

OPTIONS = {'published': hair.PUBLISHED, 'default': hair.DEFAULT}
_HIGHEST_DB = 100.0  # stands for infinity: equal images
_KEYS = ('image', 'image_without_hair', 'hair_mask')


def open_images(data_dir: str | None, name: str, split: str) -> Iterator[dict[str, np.ndarray]]:
  """Yields the decoded images of a split: image, image_without_hair and hair_mask (bool)."""
  builder: Any = tfds.builder(name, data_dir=data_dir)
  if not builder.data_path.exists():
    raise UserError(
      f'{builder.data_path} is not there; build it with'
      f' python -m data_builders.build {name} --data_dir={data_dir or "DIR"}.'
    )
  for example in builder.as_data_source(split):
    images = {key: np.squeeze(np.asarray(example[key])) for key in _KEYS}
    yield {**images, 'hair_mask': images['hair_mask'] > 0}


def score_image(images: dict[str, np.ndarray], options: hair.HairOptions) -> dict[str, float]:
  """All scores of one image.

  Args:
    images: as `open_images` yields them.
    options: how hairs are removed.

  Returns:
    Name -> value; of an image without hair only the share that was changed.
  """
  image, twin, truth = (images[key] for key in _KEYS)
  cleaned = hair.remove_hair(image, options)
  if not truth.any():
    return {'changed_share': float(np.any(cleaned != image, axis=-1).mean())}
  found = hair.hair_mask(image, options) > 0
  scores = hair_scores.detection(found, truth)
  near = hair_scores.detection(found, truth, tolerance_px=1)
  scores |= {f'{name}_1px': value for name, value in near.items()}
  for state, picture in (('before', image), ('after', cleaned)):
    grey = [cv2.cvtColor(side, cv2.COLOR_RGB2GRAY) for side in (picture, twin)]
    similarity = hair_scores.ssim_map(*grey)
    for place, where in (('inside', truth), ('outside', ~truth)):
      level = min(_HIGHEST_DB, hair_scores.psnr_db(picture, twin, where))
      scores[f'psnr_db_{place}_{state}'] = level
      scores[f'ssim_{place}_{state}'] = float(similarity[where].mean())
  return scores


def summarise(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
  """Name -> mean and percentiles over the images that have that score, and their number."""
  names = sorted({name for row in rows for name in row})
  result = {}
  for name in names:
    values = np.array([row[name] for row in rows if name in row])
    low, middle, high = np.percentile(values, [10, 50, 90])
    result[name] = {
      'mean': round(float(values.mean()), 4),
      'p10': round(float(low), 4),
      'p50': round(float(middle), 4),
      'p90': round(float(high), 4),
      'images': len(values),
    }
  return result


def measure(data_dir: str | None, name: str, split: str) -> dict[str, Any]:
  """Scores both sets of options on a split of the named configuration of the drawn set."""
  cv2.setNumThreads(1)
  rows: dict[str, list[dict[str, float]]] = {kind: [] for kind in OPTIONS}
  for images in open_images(data_dir, name, split):
    for kind, options in OPTIONS.items():
      rows[kind].append(score_image(images, options))
  scores = {kind: summarise(values) for kind, values in rows.items()}
  _print_table(scores)
  return {
    'benchmark': 'hair',
    'data': name,
    'split': split,
    'images': len(rows['default']),
    'scores': scores,
    'hardware': common.machine(),
  }


def _print_table(scores: dict[str, dict[str, dict[str, float]]]) -> None:
  for name in next(iter(scores.values())):
    cells = [
      f'{options}: {values[name]["mean"]:8.3f} ({values[name]["p10"]:.3f} .. '
      f'{values[name]["p50"]:.3f} .. {values[name]["p90"]:.3f})'
      for options, values in scores.items()
    ]
    sys.stderr.write(f'{name:24s} {"   ".join(cells)}\n')


def main() -> dict[str, Any]:
  """Parses the command line; scores, or writes sheets."""
  parser = argparse.ArgumentParser(description='hair removal, scored on drawn hairs')
  parser.add_argument('--data_dir', default='data', help='where synthetic_dermoscopy is prepared')
  parser.add_argument('--data', default='synthetic_dermoscopy', help='its name[/configuration]')
  parser.add_argument('--split', default='test', help='which split to score')
  parser.add_argument('--json', help='also add the line to this file')
  parser.add_argument('--sheet', metavar='IMAGES.zip', help='write pictures of these instead')
  parser.add_argument('--out', default='hair_sheets', help='directory of the pictures')
  parser.add_argument('--size', type=int, default=0, help='stretch to this size first; 0: do not')
  options = parser.parse_args()
  if options.sheet:
    written = hair_sheet.write_sheets(options.sheet, options.out, options.size)
    return {'benchmark': 'hair', 'sheets': [str(path) for path in written]}
  return common.keep(measure(options.data_dir, options.data, options.split), options.json)


if __name__ == '__main__':
  common.run_main(main)
