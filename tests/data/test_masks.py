"""Masks that come with images: from the records, from a folder, and what is wrong with folders."""

from __future__ import annotations

import csv
import dataclasses
import json

import cv2
import numpy as np
import pytest

from data_builders.cleaning import geometry
from data_builders.cleaning.pipeline import parse
from data_builders.errors import UserError
from lesionjax.data import masks
from lesionjax.data.datasets import open_split
from lesionjax.data.decode import decode_pixels
from lesionjax.data.lesion import Lesion
from lesionjax.data.memory import decode_all

TINY = 'synthetic_dermoscopy/tiny'


@pytest.fixture
def tiny(tiny_data_dir):
  return open_split(TINY, 'validation', str(tiny_data_dir), with_masks=True)


def write_folder(folder, rows, about=None):
  """A folder of masks as --mode=masks writes it; rows are (image id, mask or None)."""
  masks.open_folder.cache_clear()
  folder.mkdir(exist_ok=True)
  with (folder / masks.INDEX).open('w', newline='') as file:
    writer = csv.DictWriter(file, masks.COLUMNS)
    writer.writeheader()
    for image_id, mask in rows:
      name = '' if mask is None else f'{image_id}.png'
      if mask is not None:
        (folder / name).write_bytes(cv2.imencode('.png', mask)[1].tobytes())
      writer.writerow({'image_id': image_id, 'file': name, 'reject': '' if name else 'empty'})
  (folder / masks.ABOUT).write_text(json.dumps(about or {'method': 'hand'}))
  return str(folder)


def test_the_mask_is_the_fourth_channel_and_lies_on_its_image(tiny, tiny_data_dir):
  plain = open_split(TINY, 'validation', str(tiny_data_dir))
  for row in range(3):
    pixels = tiny.decode(row, (24, 32))
    assert pixels.shape == (24, 32, 4)
    np.testing.assert_array_equal(pixels[..., :3], plain.decode(row, (24, 32)))
    png = np.frombuffer(tiny.encoded_mask(row), np.uint8)
    whole = cv2.imdecode(png, cv2.IMREAD_GRAYSCALE)
    expected = geometry.resize_mask(whole, 32, 24) > 0
    # The image may be decoded smaller, and its mask with it: only the outline may differ.
    assert set(np.unique(pixels[..., 3])) == {0, 1}
    assert (expected == pixels[..., 3]).mean() > 0.97


def test_images_in_memory_keep_their_masks(tiny):
  stored = decode_all(tiny, 16)
  assert stored.shape == (len(tiny), 16, 16, 4)
  np.testing.assert_array_equal(stored[2], tiny.decode(2, 16))


def test_a_data_set_without_masks_says_so(train):
  split = dataclasses.replace(train, lesion=Lesion('crop'))
  with pytest.raises(UserError, match=r'drawn_images has no lesion masks: name a folder'):
    split.decode(0, 16)


def test_folders_give_their_masks_and_none_where_none_was_found(tmp_path, train):
  mask = np.zeros((40, 56), np.uint8)
  mask[10:20, 14:28] = 255
  rows = [(name, mask) for name in train.image_ids[1:]] + [(train.image_ids[0], None)]
  folder = write_folder(tmp_path / 'masks', rows)
  split = dataclasses.replace(train, lesion=Lesion('crop', folder, margin=0.0))
  whole = decode_pixels(train.encoded(1))
  expected = geometry.resize(whole[10:20, 14:28], 8, 8)
  np.testing.assert_array_equal(split.decode(1, 8), expected)
  # Decoded in full, where the whole image alone is decoded smaller at once.
  np.testing.assert_array_equal(
    split.decode(0, 8), geometry.resize(decode_pixels(train.encoded(0)), 8, 8)
  )


def test_a_small_mask_is_stretched_to_its_image(tmp_path, train):
  small = np.zeros((4, 4), np.uint8)
  small[:, :2] = 255
  folder = write_folder(tmp_path / 'masks', [(name, small) for name in train.image_ids])
  lesion = Lesion('crop', folder, margin=0.0)
  split = dataclasses.replace(train, lesion=lesion, with_masks=True)
  assert split.decode(0, 8)[..., 3].all()  # the crop is the left half, all lesion


_HEAD = ','.join(masks.COLUMNS) + '\n'
BAD = {
  'no folder': (lambda f: None, "is neither 'true' nor a folder with masks.csv"),
  'no such image': (lambda f: write_folder(f, [('other', None)]), "has no mask of image 'train_"),
  'file gone': (
    lambda f: (write_folder(f, _all(f)), [p.unlink() for p in f.glob('*.png')]),
    r"The mask 'train_\d+.png' of image 'train_\d+', which .* lists, cannot be read \(No such file",
  ),
  'no image file': (
    lambda f: (write_folder(f, _all(f)), [p.write_bytes(b'x') for p in f.glob('*.png')]),
    r"The mask 'train_\d+.png' of .*masks.csv lists, is no PNG: write the masks again with --mode",
  ),
  'twice': (lambda f: write_folder(f, [('train_001', None)] * 2), 'lists an image twice'),
  'damaged': (
    lambda f: (write_folder(f, []), (f / masks.ABOUT).write_text('{')),
    'is damaged',
  ),
  'list': (
    lambda f: (write_folder(f, []), (f / masks.ABOUT).write_text('[]')),
    'is damaged .masks.json holds no JSON object',
  ),
  'null': (
    lambda f: (write_folder(f, []), (f / masks.ABOUT).write_text('null')),
    'is damaged .masks.json holds no JSON object',
  ),
  'column': (
    lambda f: (write_folder(f, []), (f / masks.INDEX).write_text('image_id,file\na,b.png\n')),
    "is damaged .it has no column 'group_id'",
  ),
  'cut off': (
    lambda f: (write_folder(f, []), (f / masks.INDEX).write_text(f'{_HEAD}a,g,,0,,empty\nb')),
    "is damaged .line 3, image 'b', has not one value for each column.: write the masks again",
  ),
  'cut off before the last comma': (
    lambda f: (write_folder(f, []), (f / masks.INDEX).write_text(f'{_HEAD}a,g,a.png,0.1,0.9')),
    "line 2, image 'a', has not one value for each column",
  ),
  'too many values': (
    lambda f: (write_folder(f, []), (f / masks.INDEX).write_text(f'{_HEAD}a,g,,0,,empty,1')),
    "line 2, image 'a', has not one value for each column",
  ),
  'neither': (
    lambda f: (write_folder(f, []), (f / masks.INDEX).write_text(f'{_HEAD}a,g,,0,,\n')),
    "line 2, image 'a', must have either a file or a reason",
  ),
  'both': (
    lambda f: (write_folder(f, []), (f / masks.INDEX).write_text(f'{_HEAD}a,g,a.png,0,,empty\n')),
    "line 2, image 'a', must have either a file or a reason",
  ),
  'lines cut off': (
    lambda f: write_folder(f, _all(f), {'images': 40}),
    'it lists 37 images where 40 were written',
  ),
  'path': (
    lambda f: (write_folder(f, []), (f / masks.INDEX).write_text(f'{_HEAD}a,g,../b.png,1,1,\n')),
    r"lists '../b.png', which is no file of that folder",
  ),
}


def _all(_):
  return [(f'train_{i:03d}', np.full((4, 4), 255, np.uint8)) for i in range(37)]


@pytest.mark.parametrize('case', BAD)
def test_what_is_wrong_with_a_folder_is_told(case, tmp_path, train):
  prepare, sentence = BAD[case]
  masks.open_folder.cache_clear()
  prepare(tmp_path / 'masks')
  masks.open_folder.cache_clear()
  split = dataclasses.replace(train, lesion=Lesion('crop', str(tmp_path / 'masks')))
  with pytest.raises(UserError, match=sentence) as caught:
    split.decode(0, 16)
  assert '\n' not in str(caught.value)


def _png(mask):
  return cv2.imencode('.png', mask)[1].tobytes()


_SQUARE = np.zeros((40, 56), np.uint8)
_SQUARE[10:30, 14:42] = 1
NO_MASKS = {
  '0 and 1': (_png(_SQUARE), 'has the grey value 1, where only 0 and 255 are allowed'),
  'grey': (_png(_SQUARE * 100), 'has the grey value 100'),
  'colour': (
    _png(np.dstack([_SQUARE * 0, _SQUARE * 0, _SQUARE * 255])),
    'is no grey PNG of 8 bits',
  ),
  'alpha': (_png(np.dstack([_SQUARE * 0 + 255] * 3 + [_SQUARE * 255])), 'is no grey PNG of 8'),
  '16 bits': (_png(_SQUARE.astype(np.uint16) * 65535), 'is no grey PNG of 8 bits'),
  'JPEG': (cv2.imencode('.jpg', _SQUARE * 255)[1].tobytes(), 'is no PNG'),
  'truncated': (_png(_SQUARE * 255)[:60], 'is a truncated PNG'),
  'empty': (b'', 'is no PNG'),
  'damaged': (_png(_SQUARE * 255).replace(b'IDAT', b'XDAT'), 'cannot be decoded as a PNG'),
}


@pytest.mark.parametrize('case', NO_MASKS)
def test_what_is_no_mask_is_named_wherever_it_is_read(case, tmp_path, train):
  data, sentence = NO_MASKS[case]
  folder = write_folder(tmp_path / 'masks', _all(None))
  (tmp_path / 'masks' / 'train_001.png').write_bytes(data)
  split = dataclasses.replace(train, lesion=Lesion('crop', folder))
  row = split.image_ids.tolist().index('train_001')
  told = rf"^The mask 'train_001.png' of image 'train_001', which .*masks.csv lists, {sentence}.*: "
  for read in (lambda: split.decode(row, 16), lambda: split.has_lesion(row)):
    with pytest.raises(UserError, match=told + 'write the masks again with --mode=masks.$'):
      read()


def test_a_lesion_is_known_where_it_is_seen(tmp_path, train):
  """By the mask as the network sees it: enlarged with its image, and what preprocessing leaves."""
  left, thin = np.zeros((40, 56), np.uint8), np.zeros((400, 560), np.uint8)
  left[:, :6] = 255
  thin[:, 5] = 255  # one column of ten: a tenth of a pixel of the image
  rows = [(name, left) for name in train.image_ids]
  rows[1] = (train.image_ids[1], thin)
  folder = write_folder(tmp_path / 'masks', rows)
  split = dataclasses.replace(train, lesion=Lesion('crop', folder))
  cropped = dataclasses.replace(split, preprocessing=parse('crop32'))
  whole = dataclasses.replace(train, preprocessing=parse('crop32'))
  for ours, seen_whole, row in ((split, train, 0), (split, train, 1), (cropped, whole, 0)):
    unchanged = np.array_equal(ours.decode(row, 16), decode_whole(seen_whole, row))
    assert ours.has_lesion(row) is not unchanged
  assert [split.has_lesion(0), split.has_lesion(1), cropped.has_lesion(0)] == [True, False, False]


def test_masks_that_are_needed_are_looked_for_before_images_are_read(tmp_path, train, tiny):
  tiny.check_masks()
  train.check_masks()  # sees whole images
  dataclasses.replace(train, lesion=Lesion('attention')).check_masks()  # as outside of training
  for change, advice in (
    ({'lesion': Lesion('crop')}, 'name a folder of predicted ones'),
    ({'lesion': Lesion('attention'), 'with_masks': True}, 'name a folder of predicted ones'),
    ({'with_masks': True}, 'name one that has in config.data.name'),
  ):
    with pytest.raises(UserError, match=f'drawn_images has no lesion masks: {advice}'):
      dataclasses.replace(train, **change).check_masks()
  folder = write_folder(tmp_path / 'masks', [*_all(None)[:-2], ('train_035', None)])
  split = dataclasses.replace(train, lesion=Lesion('crop', folder))
  there = split.image_ids != 'train_036'
  split.take(there).check_masks()  # that none was found is known, too
  with pytest.raises(UserError, match=r"no mask of 1 of the 37 images of .*, such as 'train_036'"):
    split.check_masks()
  (tmp_path / 'masks' / 'train_002.png').unlink()
  with pytest.raises(UserError, match=r"'train_002.png' of image 'train_002', .* is gone: write"):
    split.take(there).check_masks()


def decode_whole(split, row):
  """The image alone, from all its pixels as a crop is."""
  image, _ = split.preprocessing.apply(decode_pixels(split.encoded(row)))
  return geometry.resize(image, 16, 16)
