"""Resize policies against plain OpenCV and numbers worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_builders.cleaning import geometry

POLICIES = (geometry.stretch, geometry.crop, geometry.pad, geometry.vga)


def noise(height: int, width: int) -> np.ndarray:
  return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize('policy', POLICIES)
@pytest.mark.parametrize('shape', [(45, 60), (60, 45), (50, 50), (7, 200), (1, 1)])
def test_every_policy_gives_the_square_and_leaves_its_input(policy, shape):
  image = noise(*shape)
  before = image.copy()
  result = policy(image, 32)
  assert result.shape == (32, 32, 3)
  assert result.dtype == np.uint8
  assert policy(image[..., 0], 32).shape == (32, 32)
  np.testing.assert_array_equal(image, before)
  np.testing.assert_array_equal(policy(image, 32), result)


def test_interpolation_changes_at_a_factor_of_two():
  for image in (noise(100, 120), noise(120, 100)):
    linear = cv2.resize(image, (60, 60), interpolation=cv2.INTER_LINEAR)
    area = cv2.resize(image, (59, 59), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(geometry.stretch(image, 60), linear)
    np.testing.assert_array_equal(geometry.stretch(image, 59), area)
  same = geometry.stretch(image, 60)
  np.testing.assert_array_equal(geometry.stretch(same, 60), same)


def test_averaging_keeps_the_mean_of_a_fine_pattern():
  pattern = np.tile(np.array([[0, 255], [255, 0]], np.uint8), (60, 60))
  np.testing.assert_array_equal(geometry.stretch(pattern, 20), np.full((20, 20), 128, np.uint8))


def test_crop_takes_the_central_square():
  image = noise(40, 60)
  np.testing.assert_array_equal(geometry.crop(image, 40), image[:, 10:50])
  np.testing.assert_array_equal(geometry.crop(image.transpose(1, 0, 2), 40)[5], image[:, 15])


def test_pad_centres_the_image_on_black():
  result = geometry.pad(np.full((30, 60, 3), 200, np.uint8), 60)
  np.testing.assert_array_equal(np.flatnonzero(result.any(axis=(1, 2))), np.arange(15, 45))
  assert (result[15:45] == 200).all()
  assert (geometry.pad(np.full((60, 30), 9, np.uint8), 30)[:, 7:22] == 9).all()


def test_the_vga_path_is_its_three_steps():
  image = noise(960, 1280)
  small = cv2.resize(image, (640, 480), interpolation=cv2.INTER_LINEAR)
  expected = cv2.resize(small[:, 80:560], (224, 224), interpolation=cv2.INTER_AREA)
  np.testing.assert_array_equal(geometry.vga(image, 224), expected)


def test_masks_are_binary_and_lie_where_the_image_shows_the_lesion():
  y, x = np.mgrid[:450, :600]
  disk = ((x - 350) ** 2 + (y - 200) ** 2 < 90**2).astype(np.uint8) * 255
  for policy in POLICIES:
    mask = geometry.binary(policy(disk, 64))
    assert set(np.unique(mask)) == {0, 255}
    shown = policy(np.dstack([disk] * 3), 64)[..., 0]
    np.testing.assert_array_equal(mask > 0, shown >= 128)
  small = geometry.resize_mask(disk, 60, 45)
  assert small.mean() == pytest.approx(disk.mean(), rel=0.01)
  rows, columns = np.nonzero(small)
  # Centres of pixels: (c + .5) / 10 - .5; nearest neighbour would be off by up to half a pixel.
  assert columns.mean() == pytest.approx(34.55, abs=0.1)
  assert rows.mean() == pytest.approx(19.55, abs=0.1)


def test_half_a_pixel_of_lesion_counts():
  mask = np.zeros((4, 8), np.uint8)
  mask[:2, :4] = 255
  mask[2, 4:] = 255
  np.testing.assert_array_equal(geometry.resize_mask(mask, 2, 1), [[255, 0]])
