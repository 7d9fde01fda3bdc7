"""What is seen of an image whose lesion is known."""

from __future__ import annotations

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.data.lesion import Lesion

IMAGE = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3) | 1  # never 0


def disc(rows=slice(5, 11), columns=slice(8, 18)):
  mask = np.zeros((20, 30), np.uint8)
  mask[rows, columns] = 255
  return mask


def test_the_crop_is_the_rectangle_with_its_margin():
  image, mask = Lesion('crop', margin=0.2).apply(IMAGE, disc())  # .2 of 10 columns: 2 px
  np.testing.assert_array_equal(image, IMAGE[3:13, 6:20])
  np.testing.assert_array_equal(mask, disc()[3:13, 6:20])


def test_the_mask_blackens_what_is_outside():
  image, _ = Lesion('mask').apply(IMAGE, disc())
  assert image.shape == IMAGE.shape
  np.testing.assert_array_equal(image[disc() > 0], IMAGE[disc() > 0])
  assert (image[disc() == 0] == 0).all()


def test_both_at_once():
  image, _ = Lesion('mask_crop', margin=0.0).apply(IMAGE, disc())
  np.testing.assert_array_equal(image, IMAGE[5:11, 8:18])


def test_a_lesion_at_the_border_has_its_margin_cut_there():
  image, _ = Lesion('crop', margin=0.5).apply(IMAGE, disc(slice(0, 6), slice(24, 30)))
  np.testing.assert_array_equal(image, IMAGE[0:9, 21:30])


def test_the_largest_of_several_regions_is_cut_out_and_all_are_seen():
  mask = disc()
  mask[15:17, 25:27] = 255
  image, _ = Lesion('crop', margin=0.0).apply(IMAGE, mask)
  np.testing.assert_array_equal(image, IMAGE[5:11, 8:18])


@pytest.mark.parametrize('mode', ['none', 'mask', 'crop', 'mask_crop', 'attention'])
@pytest.mark.parametrize('mask', [None, np.zeros((20, 30), np.uint8)], ids=['none', 'empty'])
def test_without_a_usable_contour_the_image_is_seen_whole(mode, mask):
  image, _ = Lesion(mode).apply(IMAGE, mask)
  np.testing.assert_array_equal(image, IMAGE)


@pytest.mark.parametrize('mode', ['none', 'attention'])
def test_these_leave_the_image(mode):
  image, mask = Lesion(mode).apply(IMAGE, disc())
  assert image is IMAGE
  assert not Lesion(mode).looks
  np.testing.assert_array_equal(mask, disc())


def test_a_mask_of_another_size_is_a_programming_error():
  with pytest.raises(ValueError, match='size'):
    Lesion('crop').apply(IMAGE, disc()[:10])


def test_mistakes_name_the_key():
  with pytest.raises(UserError, match=r"config.data.lesion='cut' is not one of none, mask, crop"):
    Lesion('cut')
  with pytest.raises(
    UserError, match=r'config.data.lesion_margin=-1 must be from 0 to 2, .*: set 0 '
  ):
    Lesion('crop', margin=-1)
