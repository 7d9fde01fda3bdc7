"""Decoding against plain OpenCV; damaged bytes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lesionjax.data.decode import DecodeError, decode_image, fit, jpeg_size


def photograph(height: int, width: int, seed: int = 0) -> np.ndarray:
  """Smooth colour fields, as photographs have, RGB."""
  grid = np.random.default_rng(seed).uniform(0, 255, (6, 8, 3)).astype(np.float32)
  image = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
  return np.clip(image, 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray) -> bytes:
  bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
  return cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def png(image: np.ndarray) -> bytes:
  return cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


@pytest.mark.parametrize(
  ('height', 'width'), [(64, 64), (90, 120), (130, 160), (256, 256), (600, 520)]
)
def test_every_reduction_is_close_to_decoding_in_full(height: int, width: int):
  data = jpeg(photograph(height, width))
  full = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
  expected = cv2.resize(full, (64, 64), interpolation=cv2.INTER_AREA).astype(int)
  got = decode_image(data, 64)
  assert got.shape == (64, 64, 3)
  assert got.dtype == np.uint8
  assert np.abs(got - expected).mean() < 2


def test_a_png_of_the_right_size_is_untouched_and_rgb():
  image = photograph(32, 32)
  np.testing.assert_array_equal(decode_image(png(image), 32), image)


def test_the_orientation_tag_is_ignored():
  image = photograph(40, 60)
  # One big-endian EXIF directory with one entry: tag 0x112, type 3, count 1, value 6.
  tag = b'MM' + bytes.fromhex('002a 00000008 0001 0112 0003 00000001 00060000 00000000')
  segment = b'Exif\x00\x00' + tag
  data = jpeg(image)
  turned = data[:2] + b'\xff\xe1' + (len(segment) + 2).to_bytes(2) + segment + data[2:]
  # The tag works: OpenCV itself turns the image by a quarter.
  assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (60, 40)
  np.testing.assert_array_equal(decode_image(turned, 40), decode_image(data, 40))
  assert jpeg_size(turned) == (40, 60)


def test_sizes_are_read_from_the_header():
  assert jpeg_size(jpeg(photograph(45, 61))) == (45, 61)
  assert jpeg_size(png(photograph(45, 61))) is None
  assert jpeg_size(b'\xff\xd8\xff\xe0\x00') is None


@pytest.mark.parametrize('data', [b'', b'not an image', jpeg(photograph(40, 40))[:-200]])
def test_damaged_bytes_are_refused(data: bytes):
  with pytest.raises(DecodeError):
    decode_image(data, 32)


def test_a_checkerboard_is_averaged_when_it_shrinks():
  board = np.indices((256, 256)).sum(axis=0) % 2 * 255
  assert np.ptp(fit(np.dstack([board.astype(np.uint8)] * 3), 64)) <= 1
