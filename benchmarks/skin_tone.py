"""How near the measured skin tone is to the drawn one: `python -m benchmarks.skin_tone`.

Measures the individual typology angle of every image of `synthetic_dermoscopy`, whose skins have a
known one (`ita_deg`), outside the true lesion mask, and prints which share lies within 5 degrees:
of the images without heavy hair (hairs touch less than a tenth of the pixels), of those with, and
by tone; also the time an image takes on one core. The wanted share is 95 %. Nothing of the
measurement was fitted to these images but by eye on the validation split; the split of the default
is all of them. A table goes to stderr, one JSON line to stdout.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds

import data_builders  # noqa: F401 (makes the data set known to TFDS)
from benchmarks import common
from data_builders.errors import UserError
from lesionjax.evaluation.skin import ita

TOLERANCE_DEG = 5.0
HEAVY_HAIR = 0.1
"""Share of the image's pixels that hairs touch, from which on hair is heavy."""

_STEP_DEG = 20


def measure(data_dir: str, name: str, splits: list[str]) -> dict[str, Any]:
  """Measures all images of the named configuration of the drawn set."""
  cv2.setNumThreads(1)
  builder: Any = tfds.builder(name, data_dir=data_dir)
  if not builder.data_path.exists():
    raise UserError(
      f'{builder.data_path} is not there; build it with'
      f' python -m data_builders.build {name} --data_dir={data_dir}.'
    )
  found, spent = [], 0.0
  for example in (one for split in splits for one in builder.as_data_source(split)):
    image, mask, hairs = (np.squeeze(example[key]) for key in ('image', 'mask', 'hair_mask'))
    start = time.perf_counter()
    tone = ita.measure(image, mask)
    spent += time.perf_counter() - start
    angle = np.nan if tone.ita_deg is None else tone.ita_deg
    found.append((angle, float(example['ita_deg']), float((hairs > 0).mean())))
  return summarise(np.array(found)) | {'ms_per_image': round(1e3 * spent / len(found), 2)}


def summarise(found: np.ndarray) -> dict[str, Any]:
  """Shares within the tolerance.

  Args:
    found: [N, 3], measured angle (nan where unmeasurable), drawn angle, share of hair.

  Returns:
    Counts, shares (an unmeasurable image is a miss), median error in degrees, shares by tone.
  """
  measured, drawn, hair = found.T
  error = measured - drawn
  near = np.abs(error) <= TOLERANCE_DEG  # nan is not
  light = hair < HEAVY_HAIR
  by_tone = {}
  for low in range(-50, 70, _STEP_DEG):
    rows = light & (drawn >= low) & (drawn < low + _STEP_DEG)
    by_tone[f'{low}..{low + _STEP_DEG}'] = _share(near[rows])
  return {
    'images': len(found),
    'unmeasurable': int(np.isnan(measured).sum()),
    'without_heavy_hair': int(light.sum()),
    'within_5_deg': _share(near[light]),
    'within_5_deg_heavy_hair': _share(near[~light]),
    'within_5_deg_by_tone': by_tone,
    'median_error_deg': round(float(np.nanmedian(error)), 2),
  }


def _share(near: np.ndarray) -> float | None:
  return round(float(near.mean()), 4) if near.size else None


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  parser = argparse.ArgumentParser(description='measured skin tone against the drawn one')
  parser.add_argument('--data_dir', default='data', help='where synthetic_dermoscopy is prepared')
  parser.add_argument('--data', default='synthetic_dermoscopy', help='its name[/configuration]')
  parser.add_argument('--splits', default='train,validation,test', help='which splits, by commas')
  parser.add_argument('--json', help='also add the line to this file')
  chosen = parser.parse_args()
  scores = measure(chosen.data_dir, chosen.data, chosen.splits.split(','))
  for name, value in scores.items():
    sys.stderr.write(f'{name:26s} {value}\n')
  result = {
    'benchmark': 'skin_tone',
    'data': chosen.data,
    'splits': chosen.splits,
    **scores,
    'hardware': common.machine(),
  }
  return common.keep(result, chosen.json)


if __name__ == '__main__':
  common.run_main(main)
