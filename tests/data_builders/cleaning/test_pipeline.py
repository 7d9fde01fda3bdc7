"""Pipelines by name: what is read, in which order it is applied, what comes out encoded."""

from __future__ import annotations

import functools
import pickle

import cv2
import numpy as np
import pytest

from data_builders import pool
from data_builders.cleaning import colour, encoded, frame, geometry, hair, pipeline
from data_builders.errors import UserError


def photograph(height: int = 96, width: int = 128) -> np.ndarray:
  rng = np.random.default_rng(4)
  image = cv2.GaussianBlur(rng.normal(150, 60, (height, width, 3)), (0, 0), 4) + 20
  for x in range(10, width, 40):
    cv2.line(image, (x, 5), (x + 20, height - 5), (40, 30, 20), 2, cv2.LINE_AA)
  return np.clip(image, 0, 255).astype(np.uint8)


def lesion_mask(height: int = 96, width: int = 128) -> np.ndarray:
  mask = np.zeros((height, width), np.uint8)
  cv2.ellipse(mask, (width // 2, height // 2), (30, 20), 30, 0, 360, 255, cv2.FILLED)
  return mask


def png(image: np.ndarray) -> bytes:
  return cv2.imencode('.png', image)[1].tobytes()


def jpeg(image: np.ndarray) -> bytes:
  return encoded.encode_jpeg(image)


NAMES = [
  '', 'stretch256-hair17-clahe', 'hair-clahe-stretch256', 'frame-crop64-grey', 'pad100', 'vga224',
  'stretch512-hair-stretch64',
]  # fmt: skip


@pytest.mark.parametrize('name', NAMES)
def test_names_come_back(name):
  parsed = pipeline.parse(name)
  assert parsed.name == name
  assert parsed == pipeline.parse(name)
  assert hash(parsed) == hash(pipeline.parse(name))
  assert pickle.loads(pickle.dumps(parsed)) == parsed


def test_the_order_of_the_tokens_is_the_order_of_application():
  image = photograph()
  small = geometry.stretch(image, 48)
  published = hair.PUBLISHED
  steps = {
    'stretch48-hair17-clahe': colour.clahe(hair.remove_hair(small, published)),
    'stretch48-clahe-hair17': hair.remove_hair(colour.clahe(small), published),
    'hair17-clahe-stretch48': geometry.stretch(
      colour.clahe(hair.remove_hair(image, published)), 48
    ),
    'hair-grey-crop48': geometry.crop(colour.shades_of_grey(hair.remove_hair(image)), 48),
    'pad48': geometry.pad(image, 48),
    'vga48': geometry.vga(image, 48),
  }
  before = image.copy()
  for name, expected in steps.items():
    result, mask = pipeline.parse(name).apply(image)
    np.testing.assert_array_equal(result, expected, err_msg=name)
    assert mask is None
  np.testing.assert_array_equal(image, before)
  assert not np.array_equal(steps['stretch48-hair17-clahe'], steps['stretch48-clahe-hair17'])


@pytest.mark.parametrize(
  ('name', 'says'),
  [
    ('stretch256-hiar', "'hiar' in the preprocessing 'stretch256-hiar' is no step"),
    ('stretch', 'stretchN, cropN, padN, vgaN, frame, hair, hair17, clahe, grey'),
    ('stretch256-', "'' in"),
    ('Hair', "'Hair'"),
    ('stretch0256', "'stretch0256'"),
    ('hair18', "'hair18'"),
    ('hair 17', "'hair 17'"),
    ('frame64', "'frame64'"),
    ('stretch7', 'asks for 7 px; sizes from 8 to 4096'),
    ('pad4097', 'asks for 4097 px'),
    ('clahe-hair-clahe', "'clahe' in the preprocessing 'clahe-hair-clahe' repeats"),
    ('hair-hair17', 'only one of hair and hair17'),
    ('crop64-crop64', 'repeats'),
  ],
)
def test_mistakes_are_told(name, says):
  with pytest.raises(UserError) as raised:
    pipeline.parse(name)
  assert says in str(raised.value)


@pytest.mark.parametrize('size', ['8', '4096'])
def test_sizes_at_the_limits_are_allowed(size):
  assert pipeline.parse(f'crop{size}').steps == (f'crop{size}',)


@pytest.mark.parametrize('policy', ['stretch', 'crop', 'pad', 'vga'])
def test_masks_follow_the_geometry_and_stay_binary(policy):
  mask = lesion_mask()
  image = np.dstack([mask] * 3)
  parsed = pipeline.parse(f'{policy}50')
  shown, moved = parsed.apply(image, mask)
  assert moved is not None
  assert set(np.unique(moved)) == {0, 255}
  np.testing.assert_array_equal(moved > 0, shown[..., 0] >= 128)
  np.testing.assert_array_equal(parsed.apply(photograph(), mask)[1], moved)


def test_photometric_steps_leave_the_mask():
  mask = lesion_mask()
  for name in ('hair', 'hair17', 'clahe', 'grey'):
    assert pipeline.parse(name).apply(photograph(), mask)[1] is mask


def test_a_frame_is_cut_from_image_and_mask_alike():
  image, mask = photograph(200, 260), lesion_mask(200, 260)
  image[:, :50] = 0
  box = frame.find_box(image)
  assert box is not None
  cleaned, cut = pipeline.parse('frame').apply(image, mask)
  assert cut is not None
  assert cleaned.shape[:2] == cut.shape
  top, left, bottom, right = box
  np.testing.assert_array_equal(cut, mask[top:bottom, left:right])


def test_encoded_is_the_same_work_on_bytes():
  image, mask = photograph(), lesion_mask()
  data = jpeg(image)
  parsed = pipeline.parse('hair-stretch48-clahe')
  cleaned, cleaned_mask = pipeline.clean_encoded(parsed, data, png(mask))
  expected, expected_mask = parsed.apply(encoded.decode_rgb(data), mask)
  assert expected_mask is not None
  assert cleaned == encoded.encode_jpeg(expected)
  assert cleaned_mask == png(expected_mask)
  assert pipeline.clean_encoded(parsed, data) == (cleaned, None)


def test_no_steps_leave_the_bytes():
  assert pipeline.clean_encoded(pipeline.parse(''), b'anything', b'x') == (b'anything', b'x')


@pytest.mark.parametrize('policy', ['stretch', 'crop', 'pad', 'vga'])
def test_a_smaller_decode_shows_the_same_in_the_same_place(policy):
  small = cv2.GaussianBlur(photograph(192, 256), (0, 0), 2)
  data = jpeg(cv2.resize(small, (2048, 1536), interpolation=cv2.INTER_CUBIC))
  parsed = pipeline.parse(f'{policy}96')
  reduced = encoded.decode_rgb(pipeline.clean_encoded(parsed, data)[0]).astype(float)
  full = encoded.decode_rgb(jpeg(parsed.apply(encoded.decode_rgb(data))[0])).astype(float)
  assert np.abs(reduced - full).mean() < 1
  assert np.abs(np.roll(reduced, 1, axis=1) - full).mean() > 4


def test_no_policy_is_given_fewer_pixels_than_it_needs(monkeypatch):
  decode, reductions = encoded.decode_rgb, []
  monkeypatch.setattr(
    encoded, 'decode_rgb', lambda data, by=1: reductions.append(by) or decode(data, by)
  )
  data = jpeg(np.zeros((1536, 2048, 3), np.uint8))
  for name in ('stretch96', 'vga96', 'frame-stretch96', 'hair-stretch96', 'crop700'):
    pipeline.clean_encoded(pipeline.parse(name), data)
  assert reductions == [8, 2, 1, 1, 2]


def test_the_reduction_leaves_enough_pixels_and_the_same_centre():
  data = {shape: jpeg(np.zeros((*shape, 3), np.uint8)) for shape in [(512, 1024), (500, 1000)]}
  assert encoded.fitting_reduction(data[512, 1024], 64) == 8
  assert encoded.fitting_reduction(data[512, 1024], 65) == 4
  assert encoded.fitting_reduction(data[512, 1024], 256) == 2
  assert encoded.fitting_reduction(data[512, 1024], 257) == 1
  assert encoded.fitting_reduction(data[500, 1000], 64) == 2  # 500 is no multiple of 8
  assert encoded.fitting_reduction(png(np.zeros((512, 512, 3), np.uint8)), 8) == 1


def test_colour_is_not_subsampled_and_bytes_do_not_change():
  stripes = np.zeros((32, 32, 3), np.uint8)
  stripes[:, ::2] = (200, 60, 60)
  stripes[:, 1::2] = (60, 60, 200)
  data = encoded.encode_jpeg(stripes)
  assert data == encoded.encode_jpeg(stripes)
  assert np.abs(encoded.decode_rgb(data).astype(int) - stripes).max() < 12
  at = data.index(b'\xff\xc0')
  assert data[at + 11] == 0x11  # sampling factors of the first component: 1x1


def test_orientation_is_ignored_so_that_masks_fit():
  data = jpeg(photograph())
  entry = bytes([1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0])  # orientation: turned by 90 degrees
  exif = b'Exif\0\0MM\0*\0\0\0\x08\0\x01' + entry + bytes(4)
  turned = data[:2] + b'\xff\xe1' + (len(exif) + 2).to_bytes(2) + exif + data[2:]
  obeyed = cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR)
  assert obeyed is not None
  assert obeyed.shape == (128, 96, 3)
  assert encoded.decode_rgb(turned).shape == (96, 128, 3)
  assert encoded.jpeg_size(turned) == (96, 128)


def test_bad_bytes_are_told():
  parsed = pipeline.parse('stretch48')
  good = jpeg(photograph())
  with pytest.raises(UserError, match='truncated'):
    pipeline.clean_encoded(parsed, good[: len(good) // 2])
  for bad in (b'', b'GIF89a', b'\xff\xd8\xff\xd9'):
    with pytest.raises(UserError, match=r'not an image|truncated'):
      pipeline.clean_encoded(parsed, bad)
  with pytest.raises(UserError, match='mask has 64x96 pixels where its image has 128x96'):
    pipeline.clean_encoded(parsed, good, png(np.zeros((96, 64), np.uint8)))
  with pytest.raises(UserError, match='mask is not a PNG'):
    pipeline.clean_encoded(parsed, good, b'none')


def test_processes_give_the_same_bytes():
  images = [jpeg(photograph(90 + n, 120)) for n in range(5)]
  clean = functools.partial(pipeline.clean_encoded, pipeline.parse('stretch64-hair-clahe-grey'))
  with pool.Processes(2) as processes:
    assert list(processes.map(clean, images, chunk=2)) == [clean(data) for data in images]
