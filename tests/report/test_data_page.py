"""The page of a data set says what its records hold, and nothing they hold can break it."""

from __future__ import annotations

import base64
import dataclasses
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_builders import build
from data_builders.errors import UserError
from lesionjax.report import figures
from lesionjax.report.data import rows, sample
from lesionjax.report.data.page import write_page
from lesionjax.report.data.table import Prepared
from tests.conftest import REPOSITORY
from tests.data_builders import isic_fixture
from tests.report import fake_table
from tests.report.html_page import Page

NAME = 'synthetic_dermoscopy/tiny'
_EVIL = '<script>alert("x")</script>'


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


@pytest.fixture(scope='module')
def written(tiny_data_dir, tmp_path_factory):
  return write_page(NAME, tmp_path_factory.mktemp('page'), str(tiny_data_dir), images=60)


def page(path) -> Page:
  return Page(path.read_text())


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


def test_the_page_tells_counts_and_sample(written, table):
  found = page(written)
  assert '192 images of 8 classes' in found.text
  assert 'a random sample (seed 0) of 60 of 192 images' in found.text
  assert 'No group lies in more than one split.' in found.text
  assert 'as drawn (stored masks)' in found.text
  assert 'None of the publications' in found.text
  for row in rows.class_rows(table):
    cells = ' '.join(f'{cell["count"]} {cell["off"]}' for cell in row['cells'])
    assert f'{row["name"]} {cells} {row["total"]} 12.5 %' in found.text


def test_the_page_is_one_file_without_network_or_script(written):
  text = written.read_text()
  assert 'script' not in page(written).tags
  sources = page(written).sources
  assert sources
  assert all(source.startswith('data:image/') for source in sources)
  assert not re.search(r'(src|href)="(https?:)?//', text)


def test_every_picture_has_words_and_every_link_a_target(written):
  found = page(written)
  assert all(found.alts)
  assert len(set(found.ids)) == len(found.ids)
  assert {link[1:] for link in found.links if link.startswith('#')} == set(found.ids)


def test_figures_lie_beside_the_page_and_photographs_do_not(written):
  uris = page(written).sources
  for file in written.parent.glob('figures/*.svg'):
    assert 'data:image/svg+xml;base64,' + base64.b64encode(file.read_bytes()).decode() in uris
  assert {file.suffix for file in written.parent.glob('figures/*')} == {'.svg', '.png'}
  assert (written.parent / 'figures' / 'brightness_by_class.png').exists()


def test_a_page_is_the_same_each_time(written, tiny_data_dir, tmp_path):
  again = write_page(NAME, tmp_path / 'named.html', str(tiny_data_dir), images=60)
  assert again.name == 'named.html'
  assert again.read_bytes() == written.read_bytes()


def test_everything_from_records_is_escaped(tiny_data_dir, tmp_path, monkeypatch, table):
  count = len(table)
  evil = dataclasses.replace(
    table,
    class_names=(_EVIL, '$a_b$', *table.class_names[2:]),
    texts=table.texts | dict.fromkeys(('sex', 'site', 'source'), np.full(count, _EVIL)),
    age=np.full(count, 30.0),
    facts=table.facts | dict.fromkeys(('citation', 'description', 'licence', 'homepage'), _EVIL),
    missing=(_EVIL,),
  )
  monkeypatch.setattr(Prepared, 'read_table', lambda _: evil)
  found = page(write_page(NAME, tmp_path, str(tiny_data_dir), images=8))
  assert 'script' not in found.tags
  assert found.text.count(_EVIL) >= 8
  assert '1 image that the tables name was not in the archives' in found.text


@pytest.fixture(scope='module')
def isic(tmp_path_factory):
  """Tiny ISIC data sets, with official test sets."""
  root = tmp_path_factory.mktemp('isic')
  directories = {
    'isic2020': isic_fixture.write_2020(root / '2020'),
    'isic2019': isic_fixture.write_2019(root / '2019', test=True),
    'isic2019/grouped-binary': root / '2019',
    'isic2018_task1': isic_fixture.write_task1(root / 'task1', official=('Validation', 'Test')),
  }
  for name, manual_dir in directories.items():
    build.prepare(name, root / 'data', manual_dir, progress=False)
  return str(root / 'data')


@pytest.mark.parametrize(
  ('name', 'told', 'untold'),
  [
    (
      'isic2020',
      ('58 images of 2 classes in 20 groups', 'Diagnosis, of which the label is made',
       'Never inputs of a model', 'cannot be judged on these images: 58 of the 32,701'),
      ('official_test',),
    ),
    (
      'isic2019',
      ('58 images of 8 classes', 'Below a count', 'all 40 images outside official test sets',
       'unk 0 0 0 2 0', 'a part of the published data set: 40 of its 25,331'),
      ('no label 0',),
    ),
    (
      'isic2019/grouped-binary',
      ('58 images of 2 classes', 'no label 0 0 0 2 0', 'the labels here are benign, malignant'),
      (),
    ),
    (
      'isic2018_task1',
      ('without classes', 'official_validation', 'The median lesion covers', '2,594 pairs'),
      ('People and sites', 'Never inputs', 'by class', 'Classes by split'),
    ),
  ],
)  # fmt: skip
def test_labels_and_metadata_that_are_missing_are_left_out(
  isic, tmp_path, monkeypatch, name, told, untold
):
  if name in ('isic2020', 'isic2019/grouped-binary'):  # drawing is seconds, the others do it
    monkeypatch.setattr(figures, 'encode', lambda _: figures.Encoded(b'svg', b'png'))
  found = page(write_page(name, tmp_path, isic))
  assert [words for words in told if words not in found.text] == []
  assert [words for words in untold if words in found.text] == []


def test_sizes_and_missing_images_are_told(tmp_path, monkeypatch):
  truth = isic_fixture.truth_2019()
  images = {
    row['image']: isic_fixture.jpeg(index, 30 + 10 * (index % 3), 60)
    for index, row in enumerate(truth)
  }
  gone = truth[0]['image']
  del images[gone]
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual', images=images)
  build.prepare('isic2019', tmp_path, manual_dir, allow_missing=True, progress=False)
  monkeypatch.setattr(figures, 'encode', lambda _: figures.Encoded(b'svg', b'png'))
  written = write_page('isic2019', tmp_path / 'page', str(tmp_path), images=5)
  text = page(written).text
  assert f'1 image that the tables name was not in the archives and is left out ({gone})' in text
  assert 'Images have 3 sizes; 33 % are 60x30 px.' in text
  assert '60 x 30 13 33.3 % 60 x 40 13 33.3 % 60 x 50 13 33.3 %' in text
  assert (written.parent / 'figures' / 'sizes.png').exists()


@pytest.mark.parametrize('name', ['isic2020', 'nosuch', NAME + 'x'])
def test_a_data_set_that_is_not_there_is_told_in_a_sentence(name, tmp_path):
  with pytest.raises(UserError) as error:
    write_page(name, tmp_path / 'out', str(tmp_path))
  assert '\n' not in str(error.value)
  assert name in str(error.value)
  assert not (tmp_path / 'out').exists()


def test_a_damaged_image_is_named(prepared, table, monkeypatch):
  whole = prepared.pixels

  def cut(split, index, keys):
    return {key: data[:200] for key, data in whole(split, index, keys).items()}

  monkeypatch.setattr(prepared, 'pixels', cut)
  with pytest.raises(
    UserError, match=r'^The image of SYN_.* is damaged \(The JPEG is truncated\);'
  ):
    sample.measure(table, prepared, images=1, hair_images=0)


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    ([], 'Expected the name of one data set, not 0'),
    (['ham10000', '--sample=0'], '--sample'),
  ],
)
def test_the_command_ends_in_one_sentence(arguments, words, tmp_path):
  command = [sys.executable, '-m', 'lesionjax.report.data', *arguments]
  done = subprocess.run(
    [*command, f'--data_dir={tmp_path}'], cwd=REPOSITORY, capture_output=True, text=True
  )
  assert done.returncode == 1
  assert done.stderr.startswith('Error: ')
  assert done.stderr.count('\n') == 1
  assert words in done.stderr


@pytest.mark.slow
@pytest.mark.realdata
def test_the_real_ham10000(shared_data, tmp_path):
  build.prepare('ham10000', tmp_path / 'data', shared_data / 'ham10000', progress=False)
  found = page(write_page('ham10000', tmp_path / 'page', str(tmp_path / 'data'), images=500))
  for words in (
    '10,015 images of 7 classes in 7,424 groups',
    'nv 6,705 to df 115',
    'histo 5,340 327 514 766 55 1,113 2,498 67',
    '53.3 % of the images, 41.3 % of the lesions partly',
    'sex 32 9 16 57 0.6 %',
  ):
    assert words in found.text
