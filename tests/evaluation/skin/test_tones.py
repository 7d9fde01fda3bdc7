"""The palette: evenly spaced, ordered, on its line, and real colours."""

from __future__ import annotations

import numpy as np

from data_builders.synthetic_dermoscopy import colour
from lesionjax.evaluation.skin import ita, tones


def test_eighteen_tones_from_dark_to_light():
  assert tones.LETTERS == 'ABCDEFGHIJKLMNOPQR'
  angles = tones.angles_deg()
  assert (angles[0], angles[-1]) == (-50, 70)
  np.testing.assert_allclose(np.diff(angles), 120 / 17)
  assert (np.diff(tones.palette()[:, 0]) > 0).all()


def test_colours_have_the_angles_of_their_tones():
  np.testing.assert_allclose(ita.angle_deg(tones.palette()), tones.angles_deg())


def test_every_tone_is_a_colour_a_screen_can_show():
  rgb = colour.lab_to_rgb(tones.palette())
  assert ((rgb > 0) & (rgb < 1)).all()
  np.testing.assert_allclose(colour.rgb_to_lab(rgb), tones.palette(), atol=1e-6)


def test_the_nearest_tone_is_taken():
  for letter in tones.LETTERS:
    assert tones.tone_of(tones.angle_of(letter)) == letter
    assert tones.tone_of(tones.angle_of(letter) + 3) == letter
  assert tones.tone_of(-90) == 'A'
  assert tones.tone_of(90) == 'R'


def test_the_groups_of_the_docstring():
  groups = [ita.band(angle) for angle in tones.angles_deg()]
  counts = {name: groups.count(name) for name, _ in ita.BANDS}
  assert counts == {
    'very light': 3, 'light': 2, 'intermediate': 1, 'tan': 3, 'brown': 6, 'dark': 3,
  }  # fmt: skip
