from __future__ import annotations

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.report import overlays


def test_lightness_of_the_colours_grows_with_relevance():
  ramp = overlays.legend(256, 4).astype(float)[0]
  luminance = ramp @ [0.2126, 0.7152, 0.0722]
  assert (np.diff(luminance) >= -0.8).all()  # bytes are rounded
  assert luminance[-1] - luminance[0] > 150


def test_opacity_0_is_the_photograph_and_1_the_map():
  image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
  relevance = np.linspace(0, 1, 600).reshape(20, 30)
  np.testing.assert_array_equal(overlays.overlay(image, relevance, 0.0), image)
  np.testing.assert_array_equal(overlays.overlay(image, relevance, 1.0), overlays.colour(relevance))
  half = overlays.overlay(image, relevance).astype(int)
  mean = (image.astype(int) + overlays.colour(relevance)) / 2
  assert np.abs(half - mean).max() <= 0.5


def test_a_small_map_is_stretched_and_its_peak_stays_in_place():
  relevance = np.zeros((4, 4))
  relevance[3, 0] = 1
  drawn = overlays.overlay(np.zeros((64, 64, 3), np.uint8), relevance, 1.0)
  row, column = np.unravel_index(drawn.sum(2).argmax(), (64, 64))
  assert row >= 48
  assert column < 16


def test_a_map_that_is_not_finite_is_refused():
  with pytest.raises(UserError, match='not finite'):
    overlays.colour(np.array([[0.0, np.nan]]))


def test_the_outline_follows_the_mask_and_leaves_the_rest_alone():
  image = np.full((60, 60, 3), 128, np.uint8)
  mask = np.zeros((60, 60), bool)
  mask[20:40, 20:40] = True
  drawn = overlays.outline(image, mask, (255, 0, 0))
  assert (image == 128).all()
  np.testing.assert_array_equal(drawn[20, 30], [255, 0, 0])
  changed = (drawn != 128).any(2)
  rows, columns = np.nonzero(changed)
  assert rows.min() >= 16
  assert columns.max() <= 43
  assert not changed[25:35, 25:35].any()


def test_the_outline_of_nothing_is_the_image_and_a_small_mask_is_stretched():
  image = np.full((60, 60, 3), 200, np.uint8)
  np.testing.assert_array_equal(overlays.outline(image, np.zeros((60, 60), bool)), image)
  small = np.zeros((6, 6), bool)
  small[2:4, 2:4] = True
  changed = (overlays.outline(image, small) != 200).any(2)
  rows, _ = np.nonzero(changed)
  assert 12 <= rows.min() <= 22
  assert 37 <= rows.max() <= 47
