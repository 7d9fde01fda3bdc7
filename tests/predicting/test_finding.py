"""Which files a folder, a pattern or a name stands for."""

from __future__ import annotations

import os

import pytest

from data_builders.errors import UserError
from lesionjax.predicting.finding import find_images


@pytest.fixture
def folder(tmp_path):
  for name in ('b.JPG', 'a.png', 'deep/er/c.jpeg', 'notes.txt', '.hidden.jpg', 'd[1].jpg'):
    path = tmp_path / 'in' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'')
  # Two loops, through which a walk that follows links would go 2 ** 40 ways.
  for name in ('one', 'two'):
    (tmp_path / 'in' / name).symlink_to('.', target_is_directory=True)
  return tmp_path / 'in'


def test_a_folder_means_all_images_below_it(folder):
  found = find_images(str(folder), 'out')
  assert found.names == ['a.png', 'b.JPG', 'd[1].jpg', 'deep/er/c.jpeg']
  assert found.others == 4  # notes, the hidden file, two links


@pytest.mark.parametrize(
  ('pattern', 'names'),
  [
    ('*.png', ['a.png']),
    ('**/*.jp*g', ['d[1].jpg', 'deep/er/c.jpeg']),
    ('deep/*/*', ['c.jpeg']),
    ('d[1].jpg', ['d[1].jpg']),  # a file of that name goes before the pattern
  ],
)
def test_a_pattern_means_its_matches(folder, pattern, names):
  found = find_images(str(folder / pattern), 'out')
  assert [os.path.basename(name) for name in found.names] == [os.path.basename(n) for n in names]
  for name in found.names:
    assert os.path.lexists(os.path.join(found.folder, name))


def test_results_are_no_images(folder):
  (folder / 'out' / 'overlays').mkdir(parents=True)
  (folder / 'out' / 'overlays' / '000000_a.jpg').write_bytes(b'')
  assert len(find_images(str(folder), str(folder / 'out')).names) == 4
  with pytest.raises(UserError, match='no image lies there'):
    find_images(str(folder / 'out' / '*' / '*'), str(folder / 'out'))


def test_an_empty_folder_says_what_lies_there_instead(tmp_path):
  (tmp_path / 'a.txt').write_text('')
  with pytest.raises(UserError, match=r'no image lies there \(1 other files do\)'):
    find_images(str(tmp_path), 'out')


def test_results_may_lie_around_the_images(folder):
  (folder / 'overlays').mkdir()
  (folder / 'overlays' / '000000_a.jpg').write_bytes(b'')
  assert len(find_images(str(folder), str(folder)).names) == 4
  assert find_images(str(folder / '*.png'), str(folder)).names == ['a.png']
