"""Mutated files: a result or an error each, never a crash."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from lesionjax.predicting.predict import predict
from tests.predicting import messy

_SEEDS = (
  [messy.encoded('JPEG', seed) for seed in range(3)]
  + [messy.encoded('JPEG', progressive=True), messy.cmyk(), messy.deep_png()]
  + [messy.encoded(kind) for kind in ('PNG', 'GIF', 'BMP', 'WEBP')]
  + [messy.animated(kind) for kind in ('GIF', 'WEBP', 'PNG')]
)


def mutated(rng: np.random.Generator) -> bytes:
  """A file cut off, with bytes changed, added, taken out or doubled, or all drawn anew."""
  data = bytearray(_SEEDS[rng.integers(len(_SEEDS))])
  for _ in range(rng.integers(1, 4)):
    at = int(rng.integers(len(data) + 1))
    length = int(rng.integers(1, 40))
    kind = rng.integers(7)
    if kind == 0:
      del data[at:]
    elif kind == 1:
      del data[at : at + length]
    elif kind == 2:
      data[at:at] = rng.bytes(length)
    elif kind == 3:
      data[at : at + length] = rng.bytes(length)
    elif kind == 4:  # headers decide the most
      near = int(rng.integers(min(64, len(data) + 1)))
      data[near : near + 4] = rng.bytes(4)
    elif kind == 5:
      data[at:at] = data[at : at + 400]
    else:
      data[at : at + 4] = b'\xff\xff\xff\xff'
  return bytes(data)


def _survives(run, folder, count, overlays):
  rng = np.random.default_rng(count)
  images = folder / 'in'
  images.mkdir()
  endings = ('.jpg', '.png', '.gif', '.bmp', '.webp')
  for index in range(count):
    ending = endings[rng.integers(len(endings))]
    (images / f'{index:04d}{ending}').write_bytes(mutated(rng))
  predict(str(run), str(images), str(folder / 'out'), overlays=overlays)
  with open(folder / 'out' / 'predictions.csv', newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == count
  assert all(bool(row['label']) != bool(row['error']) for row in rows)
  failed = sum(bool(row['error']) for row in rows)
  assert 0.2 * count < failed < 0.95 * count


def test_mutated_files_are_rows(run, tmp_path):
  _survives(run, tmp_path, 150, overlays=True)


@pytest.mark.slow
def test_a_thousand_mutated_files_are_rows(run, tmp_path):
  _survives(run, tmp_path, 1000, overlays=False)
