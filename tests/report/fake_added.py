"""Files of what a strategy adds, as an evaluation writes them, with numbers that are easy to tell.

`python -m tests.report.fake_added DIRECTORY` writes a comparison of five strategies with them.
"""

from __future__ import annotations

import pathlib
import sys

import numpy as np


def write_map(run: pathlib.Path, names, real=30, added=12, seed=0) -> dict[str, np.ndarray]:
  """Features: of every class but the last two, rows in two heaps; nothing is added to the first."""
  rng = np.random.default_rng(seed)
  label = np.repeat(np.arange(len(names)), real + added)
  flags = np.tile(np.arange(real + added) >= real, len(names)) & (label > 0)
  arrays = {
    'method': np.array('smote'),
    'space': np.array('features'),
    'neighbours': np.array(5),
    'class_names': np.array(names),
    'coordinates': (rng.normal(size=(len(label), 2)) + 4 * np.c_[label % 3, label // 3]).astype(
      np.float32
    ),
    'label': label,
    'added': flags,
    'real_count': np.full(len(names), real) + 12 * (np.arange(len(names)) == 0),
    'added_count': np.where(np.arange(len(names)) > 0, 4612, 0),
  }
  np.savez_compressed(run / 'resampled.npz', **arrays)
  return arrays


def write_between(run: pathlib.Path, names, size=32) -> dict[str, np.ndarray]:
  """Images: two of every class but the first, a quarter of the way."""
  rng = np.random.default_rng(0)
  label = np.repeat(np.arange(1, len(names)), 2)
  first, second = rng.integers(0, 60, (2, len(label), size, size, 3)).astype(np.uint8)
  second += 190
  arrays = {
    'method': np.array('adasyn'),
    'space': np.array('pixels'),
    'neighbours': np.array(5),
    'class_names': np.array(names),
    'image': np.rint(0.75 * first + 0.25 * second).astype(np.uint8),
    'first': first,
    'second': second,
    'share': np.full(len(label), 0.25),
    'label': label,
    'parent_id': np.array([[f'one_{row}', f'two_{row}'] for row in range(len(label))]),
    'real_count': np.full(len(names), 40),
    'added_count': np.where(np.arange(len(names)) > 0, 1234, 0),
  }
  np.savez_compressed(run / 'resampled.npz', **arrays)
  return arrays


def write_generated(run: pathlib.Path, names, size=32) -> dict[str, np.ndarray]:
  """Three generated and four real images of every class, of the first real ones only."""
  label = np.repeat(np.arange(len(names)), 7)
  flags = np.tile([True] * 3 + [False] * 4, len(names))
  kept = ~(flags & (label == 0))
  label, flags = label[kept], flags[kept]
  arrays = {
    'class_names': np.array(names),
    'image': np.full((len(label), size, size, 3), 90, np.uint8) + 100 * flags[:, None, None, None],
    'label': label,
    'generated': flags,
    'image_id': np.array([f'image_{row}' for row in range(len(label))]),
    'real_count': np.full(len(names), 40),
    'added_count': np.where(np.arange(len(names)) > 0, 777, 0),
  }
  arrays['image'] = arrays['image'].astype(np.uint8)
  np.savez_compressed(run / 'synthetic_examples.npz', **arrays)
  return arrays


if __name__ == '__main__':
  from lesionjax.studies.comparing import compare
  from tests.report import fake_comparison as fake

  place = pathlib.Path(sys.argv[1])
  skills = {
    f'{name}_seed{seed}': 0.3 * row
    for row, name in enumerate(('none', 'smote', 'pixels', 'cgan', 'focal'), 1)
    for seed in (0, 1)
  }
  fake.write_classifiers(place, skills, 400, 200)
  write_map(place / 'smote_seed0', fake.CLASSES)
  write_between(place / 'pixels_seed0', fake.CLASSES)
  write_generated(place / 'cgan_seed0', fake.CLASSES)
  print(compare(str(place), 'none'))
