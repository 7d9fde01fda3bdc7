"""Tables and pixels of a prepared data set, against TFDS and plain OpenCV."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_builders.errors import UserError
from lesionjax.report.data import rows, sample
from lesionjax.report.data.table import Prepared
from tests.data_builders import isic_fixture
from tests.report import fake_table

NAME = 'synthetic_dermoscopy/tiny'


@pytest.fixture(scope='module')
def prepared(tiny_data_dir):
  return Prepared(NAME, str(tiny_data_dir))


@pytest.fixture(scope='module')
def table(prepared):
  return prepared.read_table()


@pytest.fixture(scope='module')
def records(tiny_data_dir):
  """Every record of the data set as TFDS decodes it, in the order of the table."""
  builder = tfds.builder(NAME, data_dir=tiny_data_dir, file_format='array_record')
  return [r for split in builder.info.splits for r in builder.as_data_source(split)]


def test_the_table_holds_what_tfds_reads(table, records):
  assert len(table) == len(records) == 192
  assert table.splits == ['train', 'validation', 'test']
  assert table.label.tolist() == [record['label'] for record in records]
  for key in ('image_id', 'group_id', 'lesion_id'):
    assert table.texts[key].tolist() == [record[key].decode() for record in records]
  assert {tuple(size) for size in table.size_px.tolist()} == {(64, 64)}
  assert table.has_mask is not None
  assert table.has_mask.all()
  assert table.age is None


def test_pixels_are_measured_as_opencv_would(prepared, table, records):
  measured = sample.measure(table, prepared, images=20, hair_images=6, seed=3)
  assert len(measured.rows) == 20
  assert len(set(measured.rows.tolist())) == 20
  assert measured.lesion_area is not None
  for place, row in enumerate(measured.rows):
    image, mask = records[row]['image'], records[row]['mask'][..., 0] > 127
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    assert measured.brightness[place] == pytest.approx(grey.mean())
    assert measured.contrast[place] == pytest.approx(grey.std())
    np.testing.assert_allclose(measured.channels[place], image.mean((0, 1)))
    assert measured.lesion_area[place] == pytest.approx(mask.mean())
  assert set(measured.hair_rows) <= set(measured.rows)
  stored = [(records[row]['hair_mask'] > 0).mean() for row in measured.hair_rows]
  np.testing.assert_allclose(measured.hair['true'], stored)
  again = sample.measure(table, prepared, images=20, hair_images=6, seed=3)
  np.testing.assert_array_equal(again.rows, measured.rows)
  np.testing.assert_array_equal(again.hair['tuned'], measured.hair['tuned'])
  assert len(sample.measure(table, prepared, images=999, hair_images=0).rows) == 192


def test_a_mask_is_cut_off_and_in_pieces():
  mask = np.zeros((4, 8), np.uint8)
  mask[1:3, 1:3] = 255
  inside = {'lesion_area': 4 / 32, 'lesion_at_border': False, 'lesion_regions': 1}
  assert sample.mask_numbers(mask) == inside
  mask[2, 7] = 255
  assert sample.mask_numbers(mask) == {
    'lesion_area': 5 / 32,
    'lesion_at_border': True,
    'lesion_regions': 2,
  }
  assert sample.mask_numbers(np.zeros((4, 8), np.uint8))['lesion_regions'] == 0


def test_large_images_shrink_to_a_short_side_and_small_ones_stay():
  jpeg = isic_fixture.jpeg(0, 1200, 1600)
  assert sample.decode_small(jpeg).shape == (256, 341, 3)
  assert sample.decode_small(isic_fixture.jpeg(0, 30, 40)).shape == (30, 40, 3)


def test_examples_come_from_training_one_of_a_group(table):
  groups = sample.examples(table, per_class=5)
  assert [label for label, _ in groups] == list(range(8))
  for label, chosen in groups:
    assert 0 < len(chosen) <= 5
    assert set(table.split[chosen]) == {'train'}
    assert set(table.label[chosen]) == {label}
    assert len(set(table.texts['group_id'][chosen])) == len(chosen)


def test_of_a_group_and_of_validation_nothing_is_shown_twice():
  hand_made = fake_table.table(
    [0] * 6 + [1],
    ['train'] * 4 + ['test', 'train', 'validation'],
    group_id=['g'] * 4 + ['h', 'i', 'j'],
  )
  ((label, chosen),) = sample.examples(hand_made, per_class=5)
  assert label == 0
  assert sorted(hand_made.texts['group_id'][chosen]) == ['g', 'i']


def test_examples_show_the_outline_of_their_mask(prepared, table, records):
  shown = rows.example_groups(table, prepared)[0]['figures'][0]
  data = np.frombuffer(base64.b64decode(shown['src'].partition(',')[2]), np.uint8)
  seen = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(int)
  (record,) = (r for r in records if r['image_id'].decode() == shown['image_id'])
  inside = (record['mask'][..., 0] > 127).astype(np.uint8)
  rim = inside - cv2.erode(inside, np.ones((3, 3), np.uint8)) > 0
  changed = np.abs(seen - record['image']).mean(2)
  assert changed[rim].mean() > 30
  assert changed[cv2.dilate(inside, np.ones((7, 7), np.uint8)) == 0].mean() < 6


def test_a_damaged_image_is_named(prepared, table, monkeypatch):
  whole = prepared.pixels

  def cut(split, index, keys):
    return {key: data[:200] for key, data in whole(split, index, keys).items()}

  monkeypatch.setattr(prepared, 'pixels', cut)
  with pytest.raises(
    UserError, match=r'^The image of SYN_.* is damaged \(The JPEG is truncated\);'
  ):
    sample.measure(table, prepared, images=1, hair_images=0)
