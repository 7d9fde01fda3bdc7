"""The black frame is found where it was drawn, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_builders.cleaning import frame

LIGHT, DARK = (225, 175, 150), (88, 56, 42)


def skin(height: int, width: int, colour=LIGHT) -> np.ndarray:
  rng = np.random.default_rng(2)
  return np.clip(np.array(colour) + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


def round_frame(image: np.ndarray, centre_x: int, centre_y: int, radius: int) -> np.ndarray:
  y, x = np.mgrid[: image.shape[0], : image.shape[1]]
  inside = np.hypot(x - centre_x, y - centre_y) < radius
  black = np.random.default_rng(3).integers(0, 9, image.shape, np.uint8)
  return np.where(inside[..., None], image, black)


@pytest.mark.parametrize('colour', [LIGHT, DARK])
@pytest.mark.parametrize('scale', [1, 3])
def test_a_round_field_is_cut_where_geometry_says(colour, scale):
  radius = 100 * scale
  image = round_frame(skin(220 * scale, 400 * scale, colour), 210 * scale, 108 * scale, radius)
  box = frame.find_box(image)
  assert box is not None
  top, left, bottom, right = box
  # A square whose sides are half lit: half side h with sqrt(r^2 - h^2) = h / 2.
  half = radius * 2 / np.sqrt(5)
  assert (bottom - top) / 2 == pytest.approx(half, rel=0.05)
  assert (right - left) / 2 == pytest.approx(half, rel=0.05)
  assert (left + right) / 2 == pytest.approx(210 * scale, abs=0.03 * radius)
  assert (top + bottom) / 2 == pytest.approx(108 * scale, abs=0.03 * radius)
  assert (
    frame.cut(image, box).max(axis=2) < 20
  ).mean() < 0.11  # 10 % of such a square are outside the circle


def test_bars_are_cut_to_within_a_pixel_or_two():
  image = skin(240, 256)
  image[:, :40] = 3
  image[:, 230:] = 3
  box = frame.find_box(image)
  assert box is not None
  assert box[0] == 0
  assert box[2] == 240
  assert 40 <= box[1] <= 43
  assert 227 <= box[3] <= 230


@pytest.mark.parametrize('colour', [LIGHT, DARK])
def test_an_image_without_frame_stays_whole(colour):
  assert frame.find_box(skin(200, 300, colour)) is None


def test_a_dark_lesion_stays_whole_in_the_middle_and_at_the_border():
  for centre in ((150, 100), (0, 100), (0, 0), (300, 200), (150, 0)):
    for radius in (40, 90, 140):
      image = skin(200, 300)
      cv2.circle(image, centre, radius, (28, 20, 16), cv2.FILLED)
      assert frame.find_box(image) is None, (centre, radius)


def test_one_black_corner_is_no_frame():
  image = skin(200, 300)
  cv2.fillPoly(image, [np.array([[300, 200], [120, 200], [300, 60]], np.int32)], (4, 4, 4))
  assert frame.find_box(image) is None


def test_a_lesion_inside_a_frame_is_not_cut():
  image = skin(220, 400)
  cv2.circle(image, (200, 110), 70, (24, 18, 14), cv2.FILLED)
  box = frame.find_box(round_frame(image, 200, 110, 108))
  assert box is not None
  top, left, bottom, right = box
  assert top < 40 < 180 < bottom
  assert left < 130 < 270 < right


def test_a_lesion_that_runs_into_the_frame_leaves_the_image_alone():
  image = skin(220, 400)
  cv2.circle(image, (290, 110), 60, (12, 10, 8), cv2.FILLED)
  assert frame.find_box(round_frame(image, 200, 110, 108)) is None


def test_hairs_across_the_rim_change_little():
  image = round_frame(skin(440, 800), 400, 220, 210)
  plain = frame.find_box(image)
  for x in range(220, 600, 40):
    cv2.line(image, (x, 0), (x + 60, 440), (20, 15, 10), 5)
  hairy = frame.find_box(image)
  assert plain is not None
  assert hairy is not None
  assert np.abs(np.subtract(plain, hairy)).max() <= 12


@pytest.mark.parametrize('image', [
  np.zeros((50, 60, 3), np.uint8), np.full((50, 60, 3), 255, np.uint8),
  np.zeros((1, 1, 3), np.uint8), np.full((2, 9, 3), 120, np.uint8),
])  # fmt: skip
def test_nothing_to_find(image):
  assert frame.find_box(image) is None
  assert frame.cut(image, None) is image


def test_the_mask_of_a_frame_is_its_pixels_and_of_none_nothing():
  image = round_frame(skin(300, 400), 200, 150, 170)
  y, x = np.mgrid[:300, :400]
  outside = np.hypot(x - 200, y - 150) >= 170
  mask = frame.frame_mask(image)
  assert (mask != outside).mean() < 0.02
  assert not frame.frame_mask(skin(200, 300)).any()
