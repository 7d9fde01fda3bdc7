"""CLAHE and shades of grey against plain OpenCV and the formula."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_builders.cleaning import colour


def noise() -> np.ndarray:
  rng = np.random.default_rng(1)
  return cv2.GaussianBlur(rng.integers(0, 256, (256, 320, 3), np.uint8), (0, 0), 3)


def test_clahe_is_that_of_the_published_code():
  image = noise()
  before = image.copy()
  lab = cv2.cvtColor(image[..., ::-1].copy(), cv2.COLOR_BGR2LAB)
  lightness, a, b = cv2.split(lab)
  lightness = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(lightness)
  expected = cv2.cvtColor(cv2.merge([lightness, a, b]), cv2.COLOR_LAB2BGR)[..., ::-1]
  np.testing.assert_array_equal(colour.clahe(image), expected)
  np.testing.assert_array_equal(image, before)
  assert not np.array_equal(colour.clahe(image, clip=4.0), expected)
  assert not np.array_equal(colour.clahe(image, tiles=4), expected)


@pytest.mark.parametrize('power', [1, 6])
def test_shades_of_grey_is_the_formula(power):
  image = noise()
  image[..., 2] //= 2
  image[:, :160, 1] = 0
  light = np.mean((image / 255.0) ** power, axis=(0, 1)) ** (1 / power)
  light /= np.linalg.norm(light)
  expected = np.clip(np.rint(image / (np.sqrt(3) * light)), 0, 255)
  np.testing.assert_array_equal(colour.shades_of_grey(image, power), expected)
  assert np.array_equal(colour.shades_of_grey(image), expected) == (power == 6)


def test_shades_of_grey_removes_a_cast_and_keeps_grey():
  grey = np.repeat(noise()[..., :1] // 2, 3, axis=2)
  np.testing.assert_array_equal(colour.shades_of_grey(grey), grey)
  tinted = np.rint(grey * np.array([1.2, 1.0, 0.7])).astype(np.uint8)
  cleaned = colour.shades_of_grey(tinted).astype(int)
  assert np.abs(cleaned[..., 0] - cleaned[..., 2]).max() <= 2
  assert np.abs(cleaned[..., 0] - cleaned[..., 1]).max() <= 2


def test_a_dark_channel_is_left_alone():
  image = np.zeros((8, 8, 3), np.uint8)
  image[..., 0] = 90
  result = colour.shades_of_grey(image)
  np.testing.assert_array_equal(result, image)
  assert result is not image
