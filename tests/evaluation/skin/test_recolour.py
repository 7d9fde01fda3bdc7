"""Recoloured skin: its tone, its texture, and what must stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_builders.synthetic_dermoscopy import colour
from lesionjax.evaluation.skin import ita, recolour, tones

LETTERS = 'AHR'


@pytest.fixture(scope='module')
def photograph():
  """A textured skin with a hair, a black corner and a lesion; its mask."""
  rng = np.random.default_rng(0)
  texture = cv2.GaussianBlur(rng.normal(0, 8, (120, 160)).astype(np.float32), (0, 0), 2)
  lab = np.broadcast_to([64.0, 12.0, 17.0], (120, 160, 3)).copy()
  lab[..., 0] += texture * 2
  image = np.rint(255 * colour.lab_to_rgb(lab)).astype(np.uint8)
  cv2.line(image, (5, 100), (150, 110), (20, 14, 10), 2)
  cv2.fillPoly(image, [np.array([[0, 0], [22, 0], [0, 22]])], (0, 0, 0))
  mask = np.zeros((120, 160), np.uint8)
  cv2.circle(mask, (80, 55), 28, 255, cv2.FILLED)
  image[mask > 0] = (90, 45, 35)
  return image, mask


@pytest.mark.parametrize('letter', LETTERS)
def test_the_skin_gets_the_tone(photograph, letter):
  image, mask = photograph
  found = recolour.recolour(image, mask, tones.colour_at(tones.angle_of(letter)))
  assert found.dtype == np.uint8
  assert ita.measure(found, mask).ita_deg == pytest.approx(tones.angle_of(letter), abs=2)
  assert tones.tone_of(ita.measure(found, mask).ita_deg) == letter


@pytest.mark.parametrize('letter', LETTERS)
def test_texture_stays_and_the_lesion_too(photograph, letter):
  image, mask = photograph
  found = recolour.recolour(image, mask, tones.colour_at(tones.angle_of(letter)))
  core = cv2.erode(mask, np.ones((31, 31), np.uint8)) > 0
  np.testing.assert_array_equal(found[core], image[core])
  skin = cv2.dilate(mask, np.ones((25, 25), np.uint8)) == 0
  skin[:30, :30] = skin[94:116] = False
  before, after = ita.to_lab(image)[skin, 0], ita.to_lab(found)[skin, 0]
  assert np.corrcoef(before, after)[0, 1] > 0.98
  assert 0.6 < after.std() / before.std() < 1.4


def test_black_stays_black_and_hair_the_darkest(photograph):
  image, mask = photograph
  found = recolour.recolour(image, mask, tones.colour_at(70.0))
  assert found[2, 2].max() == 0
  light = ita.to_lab(found)[..., 0]
  assert light[100:104, 8:14].min() < np.median(light[85:95]) - 20


def test_there_is_no_halo_at_the_border_of_a_generous_mask(photograph):
  image, mask = photograph
  generous = cv2.dilate(mask, np.ones((9, 9), np.uint8))  # holds a ring of light skin
  dark = recolour.recolour(image, generous, tones.colour_at(-50.0))
  ring = (generous > 0) & (cv2.dilate(mask, np.ones((3, 3), np.uint8)) == 0)
  assert np.median(ita.to_lab(dark)[ring, 0]) < 45  # of 64 before and 34 of the tone


def test_its_own_colour_leaves_it_as_it_is(photograph):
  image, mask = photograph
  skin = recolour.skin_of(image, mask)
  found = recolour.recolour(image, mask, skin.colour)
  assert np.abs(found.astype(int) - image).max() <= 1


def test_it_is_a_pure_function(photograph):
  image, mask = photograph
  kept = image.copy()
  first = recolour.recolour(image, mask > 0, tones.colour_at(0.0))
  np.testing.assert_array_equal(image, kept)
  np.testing.assert_array_equal(first, recolour.recolour(image, mask, tones.colour_at(0.0)))


@pytest.mark.parametrize('mask', [None, np.zeros((120, 160), np.uint8), np.ones((120, 160), bool)])
def test_without_known_skin_nothing_changes(photograph, mask):
  image, _ = photograph
  found = recolour.recolour(image, mask, tones.colour_at(0.0))
  np.testing.assert_array_equal(found, image)
  assert found is not image
