"""The lesion's box by hand; what is shown of an image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_builders.cleaning import lesion
from data_builders.errors import UserError


def rectangle(height=60, width=100, top=20, left=30, bottom=40, right=70) -> np.ndarray:
  mask = np.zeros((height, width), bool)
  mask[top:bottom, left:right] = True
  return mask


def test_margin_is_a_share_of_the_longer_side_and_clipped():
  mask = rectangle()  # 40 wide, 20 high
  for margin, box in (
    (0.0, (20, 30, 40, 70)),
    (0.1, (16, 26, 44, 74)),
    (0.6, (0, 6, 60, 94)),
    (9.0, (0, 0, 60, 100)),
  ):
    found = lesion.find(mask, margin)
    assert found is not None
    assert found.box == box
    assert not found.touches_border
    assert found.area_share == pytest.approx(800 / 6000)


def test_the_box_is_opencvs_bounding_rectangle_of_the_largest_contour():
  mask = np.zeros((120, 160), np.uint8)
  cv2.ellipse(mask, ((60, 50), (70, 30), 25), 1, cv2.FILLED)
  cv2.circle(mask, (140, 100), 8, 1, cv2.FILLED)
  cv2.circle(mask, (60, 50), 4, 0, cv2.FILLED)  # a hole
  found = lesion.find(mask > 0, margin=0)
  contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
  left, top, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
  assert found is not None
  assert found.box == (top, left, top + height, left + width)


def test_a_ring_counts_with_what_it_encloses():
  mask = np.zeros((100, 100), np.uint8)
  cv2.circle(mask, (30, 30), 20, 1, 1)  # few pixels, much area
  mask[70:90, 70:90] = 1
  found = lesion.find(mask > 0, margin=0)
  assert found is not None
  assert found.box == (10, 10, 51, 51)


@pytest.mark.parametrize(
  'edge',
  [{'top': 0}, {'left': 0}, {'bottom': 60}, {'right': 100}],
  ids=lambda edge: next(iter(edge)),
)
def test_a_lesion_at_the_border_says_so(edge):
  found = lesion.find(rectangle(**edge), margin=0.1)
  assert found is not None
  assert found.touches_border


def test_a_box_at_the_border_by_its_margin_alone_does_not():
  found = lesion.find(rectangle(top=1, left=1), margin=0.5)
  assert found is not None
  assert found.box[:2] == (0, 0)
  assert not found.touches_border


def test_without_a_usable_contour_there_is_no_lesion():
  assert lesion.find(np.zeros((50, 50), bool)) is None
  dot = rectangle(100, 100, 10, 10, 13, 13)  # 9 of 10,000 pixels
  assert lesion.find(dot) is None
  assert lesion.find(dot, min_share=0.0009) is not None
  full = lesion.find(np.ones((50, 40), bool))
  assert full is not None
  assert full.box == (0, 0, 50, 40)
  assert full.touches_border


def test_what_is_shown():
  image = np.random.default_rng(0).integers(1, 256, (60, 100, 3), np.uint8)
  before = image.copy()
  mask = rectangle()
  found = lesion.find(mask, margin=0.1)
  assert found is not None
  masked = lesion.isolate(image, mask, found, 'mask')
  np.testing.assert_array_equal(masked, image * mask[..., None])
  np.testing.assert_array_equal(lesion.isolate(image, mask, found, 'crop'), image[16:44, 26:74])
  both = lesion.isolate(image, mask, found, 'mask_crop')
  np.testing.assert_array_equal(both, masked[16:44, 26:74])
  for kind in lesion.KINDS:
    lesion.isolate(image, mask, found, kind)[...] = 0
  np.testing.assert_array_equal(image, before)


def test_mistakes_are_named():
  found = lesion.find(rectangle())
  assert found is not None
  image = np.zeros((60, 90, 3), np.uint8)
  with pytest.raises(UserError, match='mask is 100x60 and its image 90x60 pixels; resize'):
    lesion.isolate(image, rectangle(), found, 'crop')
  with pytest.raises(
    UserError, match=r"'box' is no way to show a lesion; .* mask, crop, mask_crop"
  ):
    lesion.isolate(image, rectangle(), found, 'box')
  for margin in (-0.1, float('nan')):
    with pytest.raises(UserError, match=r'margin around a lesion is .* 0 or more'):
      lesion.find(rectangle(), margin)
  with pytest.raises(ValueError, match='bool'):
    lesion.find(rectangle().astype(np.uint8))
