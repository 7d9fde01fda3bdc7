"""explanations.json and .npz beside the predictions of a fake run, for the page and its tests."""

from __future__ import annotations

import json
import pathlib

import numpy as np

METHODS = ('gradcam', 'gradcam++', 'integrated_gradients', 'occlusion')


def interval(value, half=0.04, n=200):
  return {'value': value, 'low': value - half, 'high': value + half, 'n': n, 'undefined': 0}


def content(gain=0.2, rank=0.1, flagged=2):
  """What `trust.explaining` writes, with numbers that are asked for."""
  local = {
    'empty': 1,
    'inside': interval(0.25 + gain),
    'area': interval(0.25),
    'inside_gain': interval(gain),
    'pointing': interval(0.8),
    'pointing_chance': interval(0.35),
    'pointing_gain': interval(0.45),
  }
  areas = {
    'deletion': interval(0.4),
    'insertion': interval(0.6),
    'random': 'random_patches',
    'deletion_gain': interval(gain / 2),
    'insertion_gain': interval(gain / 2),
  }
  drawn = {'ssim': interval(0.2), 'rank_correlation': interval(rank)}
  curve = {'deletion': [0.8, 0.3, 0.2], 'insertion': [0.2, 0.7, 0.8]}
  alarm = {'images': 200, 'present': 30, 'flagged': 0, 'share': None, 'area': None, 'examples': []}
  hit = alarm | {
    'flagged': flagged,
    'examples': [{'image_id': 'a<b>', 'share': 0.5, 'area': 0.1}] if flagged else [],
  }
  kinds = {
    kind: {'images': 200, 'present': 30, 'methods': dict.fromkeys(METHODS, alarm)}
    for kind in ('frame', 'ruler', 'hair')
  }
  kinds['hair']['methods'] = {**kinds['hair']['methods'], 'gradcam': hit}
  return {
    'split': 'test',
    'size': [64, 64],
    'view': 'none',
    'layer': 'stride8',
    'cells': [8, 8],
    'integrated_gradients_steps': 16,
    'occlusion_px': [16, 8],
    'images': {'shown': 6, 'measured': 200, 'costly': 32, 'with_lesion': 198, 'of': 300},
    'masks': 'the data set',
    'methods': dict.fromkeys(METHODS, local),
    'perturbation': {
      'images': 32,
      'fractions': [0.0, 0.5, 1.0],
      'curves': dict.fromkeys((*METHODS, 'random_pixels', 'random_patches'), curve),
      'areas': dict.fromkeys(METHODS, areas),
    },
    'randomisation': {name: {'head': drawn, 'all': drawn} for name in METHODS[:2]},
    'alarms': kinds,
    'alarm_rule': {'share': 0.25, 'ratio': 2.0},
    'seconds': {'images': 1.0, 'maps': 2.5},
  }


def write_explanations(directory: pathlib.Path, found=None, count=6) -> None:
  """Adds the two files to a run that has predictions_test.npz."""
  (directory / 'explanations.json').write_text(json.dumps(found or content()))
  rng = np.random.default_rng(0)
  rows, columns = np.mgrid[:160, :160]
  lesion = np.hypot(rows - 80, columns - 80) < 45
  image = np.where(lesion[..., None], (110, 70, 60), (220, 180, 160)).astype(np.uint8)
  alarm = np.zeros((count, 4, 3), bool)
  alarm[0, 0, 2] = True
  np.savez_compressed(
    directory / 'explanations_test.npz',
    index=np.arange(count),
    kind=np.array((['error', 'error', 'miss', 'hit'] * count)[:count]),
    image=np.repeat(image[None], count, 0),
    lesion=np.repeat(lesion[None], count, 0),
    method=np.array(METHODS),
    maps=rng.integers(0, 256, (count, 4, 64, 64), np.uint8),
    artefact=np.array(('frame', 'ruler', 'hair')),
    alarm=alarm,
  )
