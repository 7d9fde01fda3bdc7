"""The section on what the network looked at: what it says of numbers, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.report import explanation_words as words
from lesionjax.report import explanations, figures, rendering
from lesionjax.report.run_files import read_run
from tests.report.fake_explanations import content, write_explanations
from tests.report.fake_run import write_fake_run


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
  directory = write_fake_run(tmp_path_factory.mktemp('explained') / 'run', images=40, resamples=5)
  write_explanations(directory)
  return directory


def section(directory):
  run = read_run(directory)
  with figures.style():
    shown = rendering.write_figures(
      directory / 'figures', {'explanations': explanations.plots(run)}
    )
  template = rendering.environment().get_template('explanations.html.j2')
  return template.render(explanations=explanations.context(run), plots=shown)


def test_the_section_shows_every_map_of_every_image(run_dir):
  page = section(run_dir)
  assert page.count('class="panels"') == 6
  assert page.count('<img src="data:image/jpeg') == 6 * 5 + 1  # and the key to the colours
  for name in words.kinds('malignant').values():
    assert name in page
  assert 'Grad-CAM lies on hair' in page
  assert '&lt;b&gt;' in page
  assert '<b>' not in page
  assert '>nan' not in page
  assert ' nan' not in page


@pytest.mark.parametrize(
  ('gain', 'title'),
  [(0.2, 'It looks at the lesion'), (-0.2, 'It looks beside'), (0.01, 'Not shown to look')],
)
def test_the_verdict_follows_the_interval_of_the_gain(gain, title):
  assert words.title(content(gain)).startswith(title)
  told = ' '.join(words.sentences(content(gain)))
  assert ('No method marks' in told) == (gain < 0.05)


def test_maps_that_ignore_the_weights_are_said_to():
  assert 'Beware' in ' '.join(words.sentences(content(rank=0.9)))
  assert 'depend on what was learnt' in ' '.join(words.sentences(content(rank=0.1)))


def test_alarms_name_images_and_their_absence_is_said(run_dir, tmp_path):
  assert words.alarms(content(flagged=0)) == []
  first, rule = words.alarms(content(flagged=2))
  assert first.startswith('Grad-CAM lies on hair in 2 of 200 images')
  assert '25 %' in rule


def test_no_lesion_at_all_is_no_number():
  found = content()
  nothing = {'empty': 0, **dict.fromkeys(set(found['methods']['gradcam']) - {'empty'})}
  found['methods'] = dict.fromkeys(found['methods'], nothing)
  assert words.title(found).startswith('Not shown')
  assert 'No lesion was found' in words.sentences(found)[0]


def test_a_run_without_explanations_has_no_section(tmp_path):
  run = read_run(write_fake_run(tmp_path / 'run', images=20, resamples=2))
  assert explanations.context(run) is None
  assert explanations.plots(run) == []


def test_damaged_files_are_refused(run_dir, tmp_path):
  directory = write_fake_run(tmp_path / 'run', images=20, resamples=2)
  broken = content()
  del broken['perturbation']
  write_explanations(directory, broken)
  with pytest.raises(UserError, match=r'explanations\.json cannot be understood'):
    explanations.context(read_run(directory))
  write_explanations(directory)
  with np.load(directory / 'explanations_test.npz') as arrays:
    parts = dict(arrays)
  np.savez(directory / 'explanations_test.npz', **parts | {'index': parts['index'] + 1000})
  with pytest.raises(UserError, match='does not belong to predictions_test'):
    explanations.context(read_run(directory))
  (directory / 'explanations.json').write_text(json.dumps([]))
  with pytest.raises(UserError, match='JSON'):
    explanations.context(read_run(directory))
