"""The page of a data set says what its records hold, and nothing they hold can break it."""

from __future__ import annotations

import base64
import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest

from data_builders import build
from data_builders.errors import UserError
from lesionjax.report import figures
from lesionjax.report.data import rows
from lesionjax.report.data.page import write_page
from lesionjax.report.data.table import Prepared
from tests.conftest import REPOSITORY
from tests.data_builders import isic_fixture
from tests.report.html_page import Page

NAME = 'synthetic_dermoscopy/tiny'
_EVIL = '<script>alert("x")</script>'


@pytest.fixture(scope='module')
def table(tiny_data_dir):
  return Prepared(NAME, str(tiny_data_dir)).read_table()


@pytest.fixture(scope='module')
def written(tiny_data_dir, tmp_path_factory):
  return write_page(NAME, tmp_path_factory.mktemp('page'), str(tiny_data_dir), images=60)


def page(path) -> Page:
  return Page(path.read_text())


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
    '10,015 images of 7 classes in 7,401 groups',
    'nv 6,705 to df 115',
    'histo 5,340 327 514 766 55 1,113 2,498 67',
    '53.3 % of the images, 41.3 % of the lesions partly',
  ):
    assert words in found.text
  assert re.search(r'sex \d+ \d+ \d+ 57 0\.6 %', found.text)
