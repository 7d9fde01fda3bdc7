"""Recoloured skin in what a split decodes: deterministic, masks needed, lesion untouched."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from configs import base
from data_builders.cleaning import pipeline
from data_builders.errors import UserError
from lesionjax.data import background, memory
from lesionjax.data.datasets import open_split
from lesionjax.data.lesion import Lesion
from lesionjax.evaluation.skin import ita, tones


@pytest.fixture(scope='module')
def tiny_split(tiny_data_dir):
  return open_split('synthetic_dermoscopy/tiny', 'train', str(tiny_data_dir))


def toned(split, **changes):
  return dataclasses.replace(split, lesion=Lesion(background='tones', **changes))


def test_tones_are_drawn_by_id_and_evenly():
  names = [f'ISIC_{n:07d}' for n in range(3600)]
  drawn = [background.tone_for(name) for name in names]
  assert drawn == [background.tone_for(name) for name in names]
  counts = np.array([drawn.count(letter) for letter in tones.LETTERS])
  assert counts.min() > 150
  assert counts.max() < 250
  # The same photograph under the name of another data set.
  assert background.tone_for('ISIC_0012345_downsampled') == background.tone_for('ISIC_0012345')


def test_a_decoded_image_has_its_tone(tiny_split):
  split, plain = toned(tiny_split), tiny_split
  masked = dataclasses.replace(plain, with_masks=True)
  close, changed = [], []
  for row in range(24):
    image, mask = split.decode(row, 64), masked.decode(row, 64)[..., 3]
    wanted = tones.angle_of(background.tone_for(str(split.image_ids[row])))
    close.append(abs((ita.measure(image, mask).ita_deg or 0) - wanted) < 5)
    core = np.unravel_index(mask.argmax(), mask.shape)
    changed.append((image != plain.decode(row, 64)).any(axis=-1).mean())
    assert mask[core]
  assert np.mean(close) >= 0.9
  assert np.mean(changed) > 0.3


def test_every_input_mode_sees_the_same(tiny_split):
  split = toned(tiny_split).take(np.arange(6))
  together = memory.decode_all(split, 32)
  for row in range(6):
    np.testing.assert_array_equal(together[row], split.decode(row, 32))


def test_the_view_of_the_lesion_comes_after(tiny_split):
  cropped = toned(tiny_split, mode='crop', margin=0.5).decode(0, 64)
  whole = dataclasses.replace(tiny_split, lesion=Lesion('crop', margin=0.5)).decode(0, 64)
  assert cropped.shape == whole.shape
  assert (cropped != whole).any()


def test_without_masks_it_says_so(tiny_split):
  sources = tuple(dataclasses.replace(source, mask_features=None) for source in tiny_split.sources)
  split = dataclasses.replace(toned(tiny_split), sources=sources)
  with pytest.raises(UserError, match=r'no lesion masks: .*config\.data\.background'):
    split.check_masks()


def test_black_surroundings_have_no_tone():
  with pytest.raises(UserError, match=r"config\.data\.background='tones' .* makes black"):
    Lesion('mask_crop', background='tones')
  with pytest.raises(UserError, match=r"config\.data\.background='pink' is not one of none, tones"):
    Lesion(background='pink')


@pytest.mark.parametrize(
  ('key', 'value', 'steps', 'told'),
  [
    ('task', 'segment', '', "config.task='segment'"),
    ('data.synthetic', 'made', '', 'config.data.synthetic'),
    ('', None, 'stretch64-clahe', "'clahe'.*normalises colour"),
    ('', None, 'grey', "'grey'.*normalises colour"),
  ],
)
def test_what_undoes_the_tone_is_refused(key, value, steps, told):
  config = base.get_config()
  config.data.background = 'tones'
  if key:
    config.update_from_flattened_dict({key: value})
  with pytest.raises(UserError, match=told):
    background.check(config, pipeline.parse(steps))


def test_plain_runs_and_harmless_steps_pass():
  config = base.get_config()
  background.check(config, pipeline.parse('grey'))
  config.data.background = 'tones'
  background.check(config, pipeline.parse('stretch64-hair'))
