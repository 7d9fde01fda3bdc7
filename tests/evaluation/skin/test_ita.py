"""The measured typology angle against drawn skins, and what makes it unmeasurable."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_builders.synthetic_dermoscopy import colour
from lesionjax.evaluation.skin import ita


def skin(ita_deg=20.0, yellow=18.0, red=12.0, size=96):
  """A plain skin with a lesion in its middle, and its mask."""
  lab = np.array([50 + yellow * np.tan(np.radians(ita_deg)), red, yellow])
  image = np.broadcast_to(np.rint(255 * colour.lab_to_rgb(lab)), (size, size, 3)).astype(np.uint8)
  mask = np.zeros((size, size), np.uint8)
  cv2.circle(mask, (size // 2, size // 2), size // 5, 255, cv2.FILLED)
  image = image.copy()
  image[mask > 0] = (60, 30, 20)
  return image, mask


@pytest.mark.parametrize('angle', [-45.0, -10.0, 20.0, 45.0, 65.0])
def test_a_plain_skin_has_the_angle_it_was_painted_with(angle):
  tone = ita.measure(*skin(angle))
  assert tone.ita_deg == pytest.approx(angle, abs=1.5)
  assert tone.spread_deg == pytest.approx(0, abs=0.5)
  assert tone.reason == ''
  assert tone.pixels > 2000


def test_the_conversion_is_that_of_the_drawn_set():
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (40, 30, 3)).astype(np.uint8)
  np.testing.assert_allclose(
    ita.to_lab(image), colour.rgb_to_lab(image / 255), atol=0.5
  )  # OpenCV reads a table
  lab = np.array([[70.0, 10, 20], [30, 10, 20], [50, 10, 20]])
  np.testing.assert_allclose(ita.angle_deg(lab), [45, -45, 0])


def test_the_drawn_tones_are_found_within_five_degrees(tiny_data_dir):
  source = tfds.builder('synthetic_dermoscopy/tiny', data_dir=str(tiny_data_dir))
  near = []
  for split in ('train', 'validation', 'test'):
    for example in source.as_data_source(split):
      image, mask, hairs = (np.squeeze(example[key]) for key in ('image', 'mask', 'hair_mask'))
      if (hairs > 0).mean() < 0.1:
        found = ita.measure(image, mask).ita_deg
        near.append(found is not None and abs(found - float(example['ita_deg'])) <= 5)
  assert len(near) > 100
  assert np.mean(near) >= 0.95


def test_what_is_no_skin_does_not_count():
  image, mask = skin(30.0)
  plain = ita.measure(image, mask).ita_deg
  worse = image.copy()
  worse[:, :8] = (20, 60, 200)  # a blue sticker
  worse[4:8] = (10, 10, 10)  # a ruler
  worse[80:88, 80:88] = 255  # gloss
  for x in range(20, 90, 14):
    cv2.line(worse, (x, 0), (x + 9, 95), (25, 18, 12), 1)  # hairs
  assert ita.measure(worse, mask).ita_deg == pytest.approx(plain, abs=1.5)


def test_a_black_frame_is_no_dark_skin():
  image, mask = skin(30.0)
  disc = np.zeros(mask.shape, np.uint8)
  cv2.circle(disc, (48, 48), 50, 1, cv2.FILLED)
  framed = np.where(disc[..., None] > 0, image, np.uint8(4))
  assert ita.measure(framed, mask).ita_deg == pytest.approx(30, abs=1.5)


def test_the_size_of_the_image_does_not_matter():
  image, mask = skin(10.0)
  large = cv2.resize(image, (600, 450)), cv2.resize(mask, (600, 450))
  assert ita.measure(*large).ita_deg == pytest.approx(10, abs=1.5)


def test_unmeasurable_images_say_why():
  image, mask = skin()
  for nothing in (None, np.zeros_like(mask)):
    assert ita.measure(image, nothing) == ita.Tone(None, None, 0, 'no lesion is known')
  full = ita.measure(image, np.full_like(mask, 255))
  assert (full.ita_deg, full.spread_deg) == (None, None)
  assert full.reason == 'too little skin around the lesion'
  blue = ita.measure(*skin(yellow=-4.0, ita_deg=-60.0))
  assert blue.ita_deg is None
  assert 'bluish' in blue.reason


def test_groups_of_skin_begin_where_the_source_says():
  assert [ita.band(v) for v in (56, 55, 41, 28, 10, -30, -80)] == [
    'very light', 'light', 'intermediate', 'tan', 'brown', 'dark', 'dark',
  ]  # fmt: skip


def test_steps_that_normalise_colour_are_named():
  assert ita.normalised_by(('stretch256', 'clahe', 'grey')) == 'clahe'
  assert ita.normalised_by(('stretch256', 'hair')) == ''
