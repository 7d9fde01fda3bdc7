"""Images and masks are taken whole and well-formed, or refused with their name."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from data_builders import images
from data_builders.errors import UserError

from . import ham_fixture


def photo(height_px: int = 20, width_px: int = 30) -> np.ndarray:
  """Returns noise with structure: large enough that truncation falls into scan data."""
  return np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), np.uint8)


@pytest.mark.parametrize(
  'options', [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]]
)
def test_a_whole_jpeg_gives_its_size(options):
  data = cv2.imencode('.jpg', photo(), options)[1].tobytes()

  assert images.check_jpeg(data, 'x') == (20, 30)
  assert images.check_jpeg(data + b'trailing bytes', 'x') == (20, 30)


@pytest.mark.parametrize('progressive', [0, 1])
def test_a_jpeg_cut_anywhere_is_refused(progressive):
  data = cv2.imencode('.jpg', photo(), [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
  for length in [*range(3, 700, 7), len(data) - 50, len(data) - 2, len(data) - 1]:
    with pytest.raises(UserError, match='here is a truncated JPEG'):
      images.check_jpeg(data[:length], 'here')


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image():
  data = ham_fixture.encode(photo(), '.jpg')
  thumbnail = ham_fixture.encode(photo(4, 4), '.jpg')
  segment = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
  with_thumbnail = data[:2] + segment + data[2:]

  assert images.check_jpeg(with_thumbnail, 'x') == (20, 30)
  with pytest.raises(UserError, match='truncated'):
    images.check_jpeg(with_thumbnail[:-9], 'x')


def test_an_end_without_an_image_is_no_image():
  with pytest.raises(UserError, match='truncated'):
    images.check_jpeg(b'\xff\xd8\xff\xd9', 'x')


@pytest.mark.parametrize(
  ('data', 'sentence'),
  [
    (b'', 'not a JPEG .it begins with nothing'),
    (ham_fixture.encode(photo()), 'not a JPEG .it begins with 89 50 4e 47'),
    (b'<html>no such file</html>', 'not a JPEG'),
    (ham_fixture.encode(photo()[:, :, 0], '.jpg'), r'1 channel\(s\) of 8 bits'),
  ],
)
def test_other_content_is_refused(data, sentence):
  with pytest.raises(UserError, match=f'archive, member m is {sentence}|member m has {sentence}'):
    images.check_jpeg(data, 'archive, member m')


def test_four_channels_and_twelve_bits_are_refused():
  data = bytearray(ham_fixture.encode(photo(), '.jpg'))
  frame = data.index(b'\xff\xc0')
  data[frame + 4] = 12
  with pytest.raises(UserError, match='of 12 bits'):
    images.check_jpeg(bytes(data), 'x')
  data[frame + 4], data[frame + 9] = 8, 4
  with pytest.raises(UserError, match='4 channel'):
    images.check_jpeg(bytes(data), 'x')


def test_too_many_pixels_are_refused_before_they_are_decoded():
  data = bytearray(ham_fixture.encode(photo(), '.jpg'))
  frame = data.index(b'\xff\xc0')
  data[frame + 5 : frame + 9] = (60_000).to_bytes(2, 'big') * 2

  with pytest.raises(UserError, match='60000x60000 pixels, more than'):
    images.check_jpeg(bytes(data), 'x')


def test_a_frame_that_its_bytes_cannot_fill_is_refused():
  data = bytearray(cv2.imencode('.jpg', np.zeros((8, 8, 3), np.uint8))[1].tobytes())
  at = data.index(b'\xff\xc0') + 5
  data[at : at + 4] = (9000).to_bytes(2, 'big') + (11_000).to_bytes(2, 'big')
  with pytest.raises(UserError, match='x claims 11000x9000 pixels in'):
    images.check_jpeg(bytes(data), 'x')
  flat = cv2.imencode('.jpg', np.full((2048, 2048, 3), 90, np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 1])
  assert images.check_jpeg(flat[1].tobytes(), 'x') == (2048, 2048)


@pytest.mark.parametrize('encode', [ham_fixture.encode, ham_fixture.inverted_palette_png])
def test_masks_become_grey_0_and_255(encode):
  mask = ham_fixture.disc(3)
  png = images.binary_mask_png(encode(mask), mask.shape, 'x')

  np.testing.assert_array_equal(
    cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED), mask
  )


def header_only(width: int, height: int) -> bytes:
  """Returns a PNG without pixels."""

  def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

  header = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
  return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IEND', b'')


@pytest.mark.parametrize(
  ('data', 'sentence'),
  [
    (ham_fixture.encode(ham_fixture.disc(0)[1:]), '48x35 pixels where its image has 48x36'),
    (ham_fixture.encode(ham_fixture.disc(0) // 2), 'no binary mask .grey value 127'),
    (ham_fixture.encode(ham_fixture.disc(0))[:-20], 'truncated PNG'),
    (ham_fixture.encode(ham_fixture.disc(0), '.jpg'), 'not a PNG'),
    (b'\x89PNG\r\n\x1a\n' + b'IEND' + b'1234', 'truncated PNG'),
    (header_only(48, 36), 'cannot be decoded'),
    # Would be 1.6 gigabytes of pixels: refused by its header.
    (header_only(40_000, 40_000), '40000x40000 pixels where'),
    (ham_fixture.encode(ham_fixture.disc(0).astype(np.uint16)), '16 bits a pixel'),
    (ham_fixture.encode(np.dstack([ham_fixture.disc(0)] * 4)), 'an alpha channel'),
  ],
)
def test_bad_masks_are_refused(data, sentence):
  with pytest.raises(UserError, match=f'here .*{sentence}'):
    images.binary_mask_png(data, (36, 48), 'here')
