"""The benchmark counts planted copies and known pairs on a handful of pictures."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from benchmarks import near_duplicates
from data_builders.errors import UserError
from tests.evaluation.pictures import jpeg, picture


@pytest.fixture
def options(tmp_path):
  images = tmp_path / 'images'
  images.mkdir()
  for number in range(5):
    (images / f'i{number}.jpg').write_bytes(jpeg(picture(number)))
  # i5 shows the lesion of i0, shifted, under another lesion id; i6 that of i1, as the table says.
  (images / 'i5.jpg').write_bytes(jpeg(np.roll(picture(0), 60, axis=1)))
  (images / 'i6.jpg').write_bytes(jpeg(picture(1), quality=50))
  table = tmp_path / 'table.csv'
  rows = [f'i{number},L{1 if number == 6 else number}' for number in range(7)]
  table.write_text('\n'.join(['image_id,lesion_id', *rows]) + '\n')
  known = tmp_path / 'known.csv'
  known.write_text('image_1,image_2\ni0,i5\nelsewhere,i1\n')
  return argparse.Namespace(
    images=str(images),
    metadata=str(table),
    copies=4,
    known=str(known),
    more_images='',
    pairs=str(tmp_path / 'pairs.csv'),
  )


def test_planted_and_known_pairs_are_counted(options, tmp_path):
  result = near_duplicates.measure(options)
  first, second = result['first_stage'], result['second_stage']
  assert (first['images'], first['planted'], first['found']) == (11, 4, 4)
  assert first['recall'] == 1
  assert first['flagged_same_lesion'] >= 1
  assert first['flagged_other'] == 0
  assert (second['known'], second['known_present'], second['known_found']) == (2, 1, 1)
  assert second['flagged_other'] == 0
  assert (tmp_path / 'pairs.csv').read_text().count('\n') == 1
  assert {'cpu', 'cores', 'versions'} <= result['hardware'].keys()


def test_more_copies_than_images_are_refused(options):
  options.copies = 8
  with pytest.raises(UserError, match='holds 7 images'):
    near_duplicates.measure(options)
