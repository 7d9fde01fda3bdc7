"""The lesion's rectangle by hand and against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.data.crop import CropBox, crop_box


def rectangle(height=60, width=100, top=20, left=30, bottom=40, right=70) -> np.ndarray:
  mask = np.zeros((height, width), bool)
  mask[top:bottom, left:right] = True
  return mask


def edges(box: CropBox) -> tuple[int, int, int, int]:
  return box.top, box.left, box.bottom, box.right


def test_margin_is_a_share_of_the_longer_side_and_clipped():
  mask = rectangle()  # 40 wide, 20 high
  for margin, box in (
    (0.0, (20, 30, 40, 70)),
    (0.1, (16, 26, 44, 74)),
    (0.6, (0, 6, 60, 94)),
    (9.0, (0, 0, 60, 100)),
  ):
    found = crop_box(mask, margin)
    assert found is not None
    assert edges(found) == box
    assert not found.touches_border
    assert found.area_share == pytest.approx(800 / 6000)


def test_the_box_is_opencvs_bounding_rectangle_of_the_largest_contour():
  mask = np.zeros((120, 160), np.uint8)
  cv2.ellipse(mask, ((60, 50), (70, 30), 25), 1, cv2.FILLED)
  cv2.circle(mask, (140, 100), 8, 1, cv2.FILLED)
  cv2.circle(mask, (60, 50), 4, 0, cv2.FILLED)  # a hole
  found = crop_box(mask > 0, margin=0)
  contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
  left, top, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
  assert found is not None
  assert edges(found) == (top, left, top + height, left + width)


def test_a_ring_counts_with_what_it_encloses():
  mask = np.zeros((100, 100), np.uint8)
  cv2.circle(mask, (30, 30), 20, 1, 1)  # few pixels, much area
  mask[70:90, 70:90] = 1
  found = crop_box(mask > 0, margin=0)
  assert found is not None
  assert edges(found) == (10, 10, 51, 51)


@pytest.mark.parametrize(
  'edge',
  [{'top': 0}, {'left': 0}, {'bottom': 60}, {'right': 100}],
  ids=lambda edge: next(iter(edge)),
)
def test_a_lesion_at_the_border_says_so(edge):
  found = crop_box(rectangle(**edge), margin=0.1)
  assert found is not None
  assert found.touches_border


def test_a_box_at_the_border_by_its_margin_alone_does_not():
  found = crop_box(rectangle(top=1, left=1), margin=0.5)
  assert found is not None
  assert edges(found)[:2] == (0, 0)
  assert not found.touches_border


def test_without_a_usable_contour_there_is_no_lesion():
  assert crop_box(np.zeros((50, 50), bool)) is None
  dot = rectangle(100, 100, 10, 10, 13, 13)  # 9 of 10,000 pixels
  assert crop_box(dot) is None
  assert crop_box(dot, min_share=0.0009) is not None
  full = crop_box(np.ones((50, 40), bool))
  assert full is not None
  assert edges(full) == (0, 0, 50, 40)
  assert full.touches_border


def test_the_slices_cut_the_rectangle_out():
  image = np.random.default_rng(0).integers(1, 256, (60, 100, 3), np.uint8)
  found = crop_box(rectangle(), margin=0.1)
  assert found is not None
  np.testing.assert_array_equal(image[found.slices], image[16:44, 26:74])


def test_mistakes_are_named():
  for margin in (-0.1, float('nan')):
    with pytest.raises(UserError, match=r'margin around a lesion is .* 0 or more'):
      crop_box(rectangle(), margin)
  with pytest.raises(ValueError, match='bool'):
    crop_box(rectangle().astype(np.uint8))
