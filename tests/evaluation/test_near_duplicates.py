"""Planted copies are found in every orientation, different pictures are not."""

from __future__ import annotations

import io
import zipfile

import cv2
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.evaluation import near_duplicates
from lesionjax.evaluation.image_files import ImageFiles, read_grey, read_square, read_squares
from tests.evaluation.pictures import jpeg, picture

COUNT = 40


def _square(data: bytes) -> np.ndarray:
  return read_square('x', lambda _: data, near_duplicates.SIZE_PX)


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
  """By plain NumPy: transpose, then flip."""
  if orientation & 4:
    image = image.transpose(1, 0, 2)
  if orientation & 1:
    image = image[:, ::-1]
  if orientation & 2:
    image = image[::-1]
  return image


@pytest.fixture(scope='module')
def squares() -> np.ndarray:
  return np.stack([_square(jpeg(picture(seed))) for seed in range(COUNT)])


@pytest.mark.parametrize('copies', [1, 8])
def test_small_recompressed_turned_copies_are_found_and_nothing_else(squares, copies):
  planted = []
  for seed in range(copies):
    half = cv2.resize(picture(seed), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    planted.append(_square(jpeg(_turned(half, seed), quality=60)))
  pairs = near_duplicates.find_copies(np.concatenate([squares, np.stack(planted)]))
  found = sorted(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
  assert found == [(seed, COUNT + seed) for seed in range(copies)]
  by_copy = np.argsort(pairs.second)
  assert pairs.orientation[by_copy].tolist() == list(range(copies))
  assert pairs.similarity.min() > 0.9


def test_copies_that_signatures_flag_are_looked_at_again():
  """Soft dark corners are half of what a signature sees, and nothing of what makes a copy."""
  images = {f'{seed}': picture(seed) for seed in range(8)}
  y, x = np.mgrid[-1:1:256j, -1:1:256j]
  light = 1 / (1 + np.exp(16 * (np.hypot(x - 0.3, y) - 0.7)))
  for name in ('3', '5'):
    calm = (images[name].astype(np.float32) - 128) * 0.3 + 170
    images[name] = (calm * light[..., None]).astype(np.uint8)
  images['copy'] = cv2.resize(images['4'], (128, 128), interpolation=cv2.INTER_AREA).transpose(
    1, 0, 2
  )
  encoded = {name: jpeg(image, quality=60) for name, image in images.items()}
  names = list(encoded)
  squares = np.stack([_square(data) for data in encoded.values()])
  flagged = near_duplicates.find_copies(squares)
  assert {(names[a], names[b]) for a, b in zip(flagged.first, flagged.second, strict=True)} == {
    ('3', '5'),
    ('4', 'copy'),
  }
  pairs = near_duplicates.search(names, encoded.__getitem__)
  assert [(names[a], names[b]) for a, b in zip(pairs.first, pairs.second, strict=True)] == [
    ('4', 'copy')
  ]
  assert near_duplicates.ORIENTATIONS[pairs.orientation[0]] == 'transposed'
  assert len(near_duplicates.search(names[:3], encoded.__getitem__)) == 0


def test_names_of_orientations_are_what_opencv_calls_them():
  image = picture(0)
  names = near_duplicates.ORIENTATIONS
  for name, expected in {
    'mirrored': cv2.flip(image, 1),
    'mirrored upside down': cv2.flip(image, 0),
    'rotated by 180 degrees': cv2.rotate(image, cv2.ROTATE_180),
    'rotated by 90 degrees clockwise': cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    'rotated by 90 degrees counter-clockwise': cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
    'transposed': cv2.transpose(image),
  }.items():
    np.testing.assert_array_equal(_turned(image, names.index(name)), expected)
    # A mirror cannot be undone by turning.
    turns = [np.rot90(image, k) for k in range(4)]
    is_turn = any(np.array_equal(expected, turn) for turn in turns)
    assert (names.index(name) in near_duplicates.MIRRORED) == (not is_turn)


def test_copies_are_found_among_three_pictures():
  squares = np.stack([_square(jpeg(picture(0))), _square(jpeg(picture(1)))])
  copy = _square(jpeg(picture(0)[:, ::-1], quality=60))
  pairs = near_duplicates.find_copies(np.concatenate([squares, copy[None]]))
  assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [2])


def test_brightness_and_contrast_do_not_matter():
  squares = np.stack([_square(jpeg(picture(seed))) for seed in range(10)])
  darker = _square(jpeg((picture(3) * 0.6 + 20).astype(np.uint8)))
  pairs = near_duplicates.find_copies(np.concatenate([squares, darker[None]]))
  assert (pairs.first.tolist(), pairs.second.tolist()) == ([3], [10])


def test_blank_images_match_nothing():
  blank = np.full((4, 32, 32), 77, np.uint8)
  assert len(near_duplicates.find_copies(blank)) == 0
  assert len(near_duplicates.find_copies(blank[:0])) == 0


def test_too_many_pairs_are_told(monkeypatch, squares):
  monkeypatch.setattr(near_duplicates, 'MAX_PAIRS', 5)
  with pytest.raises(UserError, match='More than 5 pairs'):
    near_duplicates.find_copies(np.repeat(squares[:1], 5, axis=0))


def test_blocks_of_rows_do_not_change_the_result(monkeypatch, squares):
  twice = np.concatenate([squares, squares[::-1]])
  whole = near_duplicates.find_copies(twice)
  monkeypatch.setattr(near_duplicates, '_ROWS', 7)
  parts = near_duplicates.find_copies(twice)
  assert len(whole) == COUNT
  # Equal copies are in an order that rounding decides.
  assert sorted(zip(whole.first, whole.second, strict=True)) == sorted(
    zip(parts.first, parts.second, strict=True)
  )


def test_images_of_directories_and_zips(tmp_path):
  (tmp_path / 'deep').mkdir()
  (tmp_path / 'deep' / 'a.jpg').write_bytes(jpeg(picture(0)))
  ok, png = cv2.imencode('.png', picture(1, 64))
  assert ok
  (tmp_path / 'b.PNG').write_bytes(png.tobytes())
  with zipfile.ZipFile(tmp_path / 'more.zip', 'w') as archive:
    archive.writestr('inner/c.jpg', jpeg(picture(2)))
    archive.writestr('__MACOSX/._c.jpg', b'junk')
    archive.writestr('notes.txt', b'text')
  with ImageFiles([tmp_path]) as files:
    assert files.ids() == {'a', 'b', 'c'}
    squares = read_squares(['a', 'b', 'c'], files.read, 32)
    assert squares.shape == (3, 32, 32)
    reference = cv2.cvtColor(cv2.resize(picture(2), (32, 32), interpolation=3), 6)
    assert np.abs(squares[2].astype(int) - reference).mean() < 2
    assert read_grey('b', files.read, 256).shape == (256, 256)
    assert read_grey('a', files.read, 100).shape == (100, 100)
  with ImageFiles([tmp_path / 'more.zip']) as files:
    assert files.ids() == {'c'}


def _bomb() -> bytes:
  ok, png = cv2.imencode('.png', np.zeros((2, 2, 3), np.uint8))
  assert ok
  data = bytearray(png.tobytes())
  data[16:24] = (60_000).to_bytes(4) * 2
  return bytes(data)


@pytest.mark.parametrize(
  ('data', 'message'),
  [
    (jpeg(picture(0))[:3000], 'Image bad is damaged: The JPEG is truncated'),
    (b'no image', 'Image bad is damaged'),
    (_bomb(), 'Image bad has 60000x60000 pixels, more than the'),
  ],
)
def test_damaged_images_are_named(tmp_path, data, message):
  (tmp_path / 'bad.jpg').write_bytes(data)
  with ImageFiles([tmp_path]) as files, pytest.raises(UserError, match=message):
    read_squares(['bad'], files.read, 32)


def test_places_without_images_are_told(tmp_path):
  with pytest.raises(UserError, match='neither a directory nor a zip'):
    ImageFiles([tmp_path / 'missing'])
  with pytest.raises(UserError, match='holds no image'):
    ImageFiles([tmp_path])
  (tmp_path / 'broken.zip').write_bytes(b'PK')
  with pytest.raises(UserError, match='not a complete zip archive'):
    ImageFiles([tmp_path])
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w') as archive:
    archive.writestr('a.jpg', jpeg(picture(0, 32)))
  (tmp_path / 'broken.zip').write_bytes(buffer.getvalue())
  (tmp_path / 'a.png').write_bytes(jpeg(picture(0, 32)))
  with pytest.raises(UserError, match='a is twice in the images'):
    ImageFiles([tmp_path])
