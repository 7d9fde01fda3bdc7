"""Zip members are found by id and read checked; damaged and hostile archives are refused."""

from __future__ import annotations

import zipfile

import pytest

from data_builders import archives
from data_builders.errors import UserError


def make_zip(path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED):
  with zipfile.ZipFile(path, 'w', compression) as archive:
    for name, data in members.items():
      archive.writestr(name, data)
  return path


def test_members_by_id_wherever_they_lie(tmp_path):
  one = make_zip(tmp_path / '1.zip', {'a.jpg': b'A', 'LICENSE.txt': b'', '__MACOSX/._a.jpg': b''})
  two = make_zip(tmp_path / '2.zip', {'in/b.JPG': b'BB', 'in/._b.jpg': b'', 'in/': b''})

  with archives.ZippedImages([one, two], '.jpg') as images:
    assert images.ids() == {'a', 'b'}
    assert (images.read('a'), images.read('b')) == (b'A', b'BB')
    assert images.num_bytes('b') == 2
    assert images.where('b') == f'{two}, member in/b.JPG'


def test_cut_archives_are_refused(tmp_path):
  whole = make_zip(tmp_path / 'a.zip', {'a.jpg': b'A' * 500, 'b.jpg': b'B' * 500})
  for length in (0, 10, 600, whole.stat().st_size - 1):
    cut = tmp_path / f'{length}.zip'
    cut.write_bytes(whole.read_bytes()[:length])
    with pytest.raises(UserError, match=rf'{length}\.zip is not a complete zip archive'):
      archives.ZippedImages([cut], '.jpg')


@pytest.mark.parametrize('compression', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_named(tmp_path, compression):
  path = make_zip(tmp_path / 'a.zip', {'a.jpg': bytes(range(256))}, compression)
  damaged = bytearray(path.read_bytes())
  damaged[60] ^= 0xFF
  path.write_bytes(damaged)

  with (
    archives.ZippedImages([path], '.jpg') as images,
    pytest.raises(UserError, match=r'a\.zip, member a\.jpg, cannot be read'),
  ):
    images.read('a')


@pytest.mark.parametrize('name', ['../a.jpg', '/a.jpg', 'x/../../a.jpg', 'x\\..\\a.jpg'])
def test_paths_that_leave_the_archive_are_refused(tmp_path, name):
  path = make_zip(tmp_path / 'a.zip', {name: b'A'})

  with pytest.raises(UserError, match='leaves the archive'):
    archives.ZippedImages([path], '.jpg')


def test_an_id_in_two_archives_is_refused(tmp_path):
  one = make_zip(tmp_path / '1.zip', {'a.jpg': b'A'})
  two = make_zip(tmp_path / '2.zip', {'x/a.jpg': b'A'})

  with pytest.raises(UserError, match=r'a is twice.*1\.zip.*2\.zip, member x/a\.jpg'):
    archives.ZippedImages([one, two], '.jpg')


def test_a_member_that_claims_to_be_huge_is_not_read(tmp_path, monkeypatch):
  monkeypatch.setattr(archives, 'MAX_MEMBER_BYTES', 1000)
  path = make_zip(tmp_path / 'a.zip', {'a.jpg': b'\0' * 1001}, zipfile.ZIP_DEFLATED)

  with (
    archives.ZippedImages([path], '.jpg') as images,
    pytest.raises(UserError, match='1001 bytes, more than the 1000'),
  ):
    images.read('a')


def test_table_and_archive_must_name_the_same_images(tmp_path):
  path = make_zip(tmp_path / 'a.zip', {'a.jpg': b'', 'b.jpg': b''})
  with archives.ZippedImages([path], '.jpg') as images:
    archives.check_complete(images, ['b', 'a'], 'rows of T', 'image')
    with pytest.raises(UserError, match=r'1 of the 3 rows of T have no image in .*a\.zip \(c\)'):
      archives.check_complete(images, ['a', 'b', 'c'], 'rows of T', 'image')
    with pytest.raises(UserError, match=r'1 images in .*a\.zip are not in the rows of T \(b\)'):
      archives.check_complete(images, ['a'], 'rows of T', 'image')


def test_members_without_a_name_and_odd_packing(tmp_path):
  path = make_zip(tmp_path / 'a.zip', {'.': b'x', 'a.jpg': b'A' * 3000}, zipfile.ZIP_LZMA)
  with archives.ZippedImages([path], '.jpg') as images:
    assert images.ids() == {'a'}
  data = bytearray(path.read_bytes())
  start = data.index(b'a.jpg') + len('a.jpg')
  data[start : start + 9] = b'\xff' * 9  # the packing's own header
  path.write_bytes(bytes(data))
  with (
    archives.ZippedImages([path], '.jpg') as images,
    pytest.raises(UserError, match=r'a\.zip, member a\.jpg, cannot be read'),
  ):
    images.read('a')


def test_a_version_that_nobody_knows_is_told(tmp_path):
  path = make_zip(tmp_path / 'a.zip', {'a.jpg': b'A'})
  data = bytearray(path.read_bytes())
  data[data.index(b'PK\x01\x02') + 6] = 250  # version needed to extract
  path.write_bytes(bytes(data))
  with pytest.raises(UserError, match=r'a\.zip is not a complete zip archive'):
    archives.ZippedImages([path], '.jpg')
