"""Opening prepared data sets; what is wrong with those that cannot be opened."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.data import columns
from lesionjax.data.datasets import open_builder, open_split, provenance
from lesionjax.data.decode import decode_image


def test_columns_and_images_belong_together(train, drawn):
  assert train.class_names == ('bkl', 'mel', 'nv')
  assert len(train) == 37
  assert set(train.image_ids) == {f'train_{i:03d}' for i in range(37)}
  for row in range(len(train)):
    i = int(train.image_ids[row][-3:])
    assert train.labels[row] == (0 if i % 9 == 0 else 1 + i % 2)
    assert train.group_ids[row] == f'train_lesion_{i // 2:03d}'
    assert train.folds[row] == i % 7
    expected = cv2.imencode('.jpg', drawn.draw(i))[1].tobytes()
    assert train.encoded(row) == expected
    np.testing.assert_array_equal(train.decode(row, 16), decode_image(expected, 16))


def test_column_types(train):
  assert train.labels.dtype == np.int32
  assert train.folds.dtype == np.int32
  assert train.image_ids.dtype.kind == 'U'
  assert train.group_ids.dtype.kind == 'U'


def test_missing_data_set_names_place_and_command(tmp_path):
  with pytest.raises(UserError) as caught:
    open_split('ham10000/random', 'train', str(tmp_path))
  message = str(caught.value)
  assert str(tmp_path / 'ham10000' / 'random') in message
  assert f'python -m data_builders.build ham10000/random --data_dir={tmp_path}' in message
  assert '\n' not in message


@pytest.mark.parametrize('name', ['ham10001', 'ham10000/grupped'])
def test_unknown_names_are_told(tmp_path, name: str):
  with pytest.raises(UserError, match=f"Data set '{name}'"):
    open_split(name, 'train', str(tmp_path))


def test_unknown_split_lists_those_there_are(drawn_dir):
  with pytest.raises(UserError, match="no split 'test'; it has train, validation"):
    open_split('drawn_images', 'test', drawn_dir)


def test_a_damaged_image_is_named(tmp_path, drawn):
  drawn.DrawnImages(
    broken=True, data_dir=str(tmp_path), file_format='array_record'
  ).download_and_prepare()
  split = open_split('drawn_images', 'train', str(tmp_path))
  broken = [row for row in range(37) if split.image_ids[row] in ('train_003', 'train_004')]
  for row in broken:
    with pytest.raises(UserError, match=f"Image '{split.image_ids[row]}'.*damaged"):
      split.decode(row, 16)
  whole = next(row for row in range(37) if row not in broken)
  assert split.decode(whole, 16).shape == (16, 16, 3)


def test_provenance_counts_and_does_not_depend_on_the_order_of_the_files(
  drawn_dir, tmp_path, drawn
):
  told = provenance('drawn_images', drawn_dir)
  assert told['splits']['train'] == {
    'images': 37,
    'groups': 19,
    'support': {'bkl': 5, 'mel': 16, 'nv': 16},
  }
  assert told['splits']['validation']['images'] == 9
  assert (told['name'], told['version'], told['licence']) == ('drawn_images', '1.0.0', 'CC0')
  drawn.DrawnImages(
    reverse=True, data_dir=str(tmp_path), file_format='array_record'
  ).download_and_prepare()
  again = open_split('drawn_images', 'train', str(tmp_path))
  first = open_split('drawn_images', 'train', drawn_dir)
  assert again.image_ids.tolist() != first.image_ids.tolist()
  assert provenance('drawn_images', str(tmp_path))['fingerprint'] == told['fingerprint']


def test_columns_are_kept_and_read_again(tmp_path, drawn, monkeypatch):
  drawn.DrawnImages(data_dir=str(tmp_path), file_format='array_record').download_and_prepare()
  first = open_split('drawn_images', 'train', str(tmp_path))

  def no_scan(*_):
    raise AssertionError('the records were scanned')

  with monkeypatch.context() as patched:
    patched.setattr(columns, '_scan', no_scan)
    second = open_split('drawn_images', 'train', str(tmp_path))
    with pytest.raises(AssertionError, match='scanned'):
      open_split('drawn_images', 'train[:10]', str(tmp_path))
  for name in ('labels', 'image_ids', 'group_ids', 'folds'):
    np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert getattr(first, name).dtype == getattr(second, name).dtype


@pytest.mark.parametrize('damage', ['truncated', 'foreign'])
def test_kept_columns_that_do_not_fit_are_read_anew(tmp_path, drawn, damage):
  drawn.DrawnImages(data_dir=str(tmp_path), file_format='array_record').download_and_prepare()
  expected = open_split('drawn_images', 'train', str(tmp_path)).image_ids
  folder = tmp_path / 'drawn_images' / '1.0.0'
  kept, other = folder / 'columns-train.npz', folder / 'columns-validation.npz'
  open_split('drawn_images', 'validation', str(tmp_path))
  kept.write_bytes(kept.read_bytes()[:100] if damage == 'truncated' else other.read_bytes())
  got = open_split('drawn_images', 'train', str(tmp_path)).image_ids
  np.testing.assert_array_equal(got, expected)


def test_several_data_sets_where_one_is_wanted_are_told(tmp_path):
  with pytest.raises(UserError, match=r"^'ham10000,isic2019' are several .*: give one at a time"):
    open_builder('ham10000,isic2019', str(tmp_path))
