"""A fixed run on recoloured skin: what is written, what is refused, and its section of the page."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.evaluation.operating import positive_of
from lesionjax.evaluation.skin import tones
from lesionjax.report import figures, rendering
from lesionjax.report import toning as report
from lesionjax.report.run_files import read_run
from lesionjax.runs import run_data, run_directory
from lesionjax.runs.predictor import Classifier
from lesionjax.runs.scoring import labels_of
from lesionjax.trust import toning
from lesionjax.trust.tones_of_split import mask_kind, tones_of


@pytest.fixture
def copy(run, tmp_path):
  """A run of its own: no test changes the shared one."""
  return shutil.copytree(run, tmp_path / 'run')


def write(path, content):
  path.write_text(json.dumps(content))


def change_config(run, **changes):
  config = json.loads((run / 'config.json').read_text())
  config['data'] |= changes
  write(run / 'config.json', config)


def test_a_run_is_measured_in_every_tone(copy):
  write(copy / 'thresholds.json', {'fitted': {'points': {'sensitivity_90': {'threshold': 0.3}}}})
  content = toning.write(copy, images=10)

  def refuse(name):
    raise AssertionError(name)

  stored = json.loads((copy / 'toning.json').read_text(), parse_constant=refuse)
  assert stored == content
  assert [entry['tone'] for entry in content['tones']] == list(tones.LETTERS)
  assert content['images'] + sum(content['skipped'].values()) == 10
  assert (content['threshold'], content['point']) == (0.3, 'sensitivity_90')
  assert content['masks'] == 'data set'
  assert sum(content['own_tones'].values()) == content['images']
  with np.load(copy / 'toning.npz', allow_pickle=False) as arrays:
    scores = arrays['scores']
    assert scores.shape == (content['images'], 19)
    assert arrays['example'].shape == (7, 144, 144, 3)
    for number, entry in enumerate(content['tones']):
      change = (scores[:, 1 + number] - scores[:, 0]).mean()
      assert entry['change']['value'] == pytest.approx(change, abs=1e-6)
    own = [tones.LETTERS.index(letter) for letter in arrays['own']]
    control = (scores[np.arange(len(own)), 1 + np.array(own)] - scores[:, 0]).mean()
    assert content['own']['change']['value'] == pytest.approx(control, abs=1e-6)
    ids = arrays['image_id'].tolist()
  # As it is, an image has the score that the evaluation recorded.
  with np.load(copy / 'predictions_test.npz', allow_pickle=False) as found:
    positive = positive_of('malignant', found['class_names'].tolist())
    recorded = dict(
      zip(found['image_id'].tolist(), positive.score(found['probabilities']), strict=True)
    )
  np.testing.assert_allclose(scores[:, 0], [recorded[name] for name in ids], atol=1e-5)


def test_without_thresholds_one_half_is_taken(copy):
  (copy / 'thresholds.json').unlink(missing_ok=True)
  content = toning.write(copy, images=4)
  assert (content['threshold'], content['point']) == (0.5, '')
  write(copy / 'thresholds.json', {'fitted': {'points': {'youden': {}}}})
  with pytest.raises(UserError, match=r"thresholds\.json cannot be read \('sensitivity_90'\)"):
    toning.write(copy, images=4)


def test_only_the_skin_changes(copy):
  classifier = Classifier(copy)
  split = run_data.open_data(classifier.config, 'test')
  made = toning.toned(classifier, split, 0)
  assert made.seen.shape == (19, 16, 16, 3)
  np.testing.assert_array_equal(made.seen[0], split.decode(0, 16))
  light = made.seen[1:].reshape(18, -1).mean(axis=1)
  assert (np.diff(light) > 0).all()  # A darkest


@pytest.mark.parametrize(
  ('changes', 'told'),
  [
    ({'lesion': 'mask_crop'}, 'sees no skin'),
    ({'test_split': 'elsewhere'}, 'elsewhere'),
  ],
)
def test_runs_that_cannot_be_tested_say_why(copy, changes, told):
  change_config(copy, **changes)
  with pytest.raises(UserError, match=told):
    toning.write(copy)


def test_mistakes_end_in_a_sentence(copy, capsys):
  assert toning.main([str(copy), '--images=-1']) == 1
  assert '--images=-1 must be 0' in capsys.readouterr().err


def test_a_run_on_recoloured_skin_takes_no_new_images(copy):
  change_config(copy, background='tones')
  classifier = Classifier(copy)
  image = np.full((20, 20, 3), 100, np.uint8)
  for call in (lambda: classifier.predict([image]), lambda: classifier.seen(image)):
    with pytest.raises(UserError, match=r"config\.data\.background='tones'.*no skin as it is"):
      call()


def test_the_section_of_the_page(copy):
  toning.write(copy, images=6)
  found = read_run(copy)
  with figures.style():
    shown = rendering.write_figures(copy / 'figures', {'toning': report.plots(found)})
  template = rendering.environment().get_template('toning.html.j2')
  page = template.render(toning=report.context(found), plots=shown)
  assert page.count('<img') == 7 + 2
  assert not re.search(r'\bnan\b', re.sub(r'src="[^"]*"', '', page))
  assert 'Control: recoloured to the tone nearest to its own' in page
  (copy / 'toning.json').write_text('{"tones": []}')
  with pytest.raises(UserError, match=r'python -m lesionjax\.trust\.toning'):
    report.context(found)
  (copy / 'toning.json').unlink()
  assert report.context(found) is None
  assert report.plots(found) == []


def test_tones_of_a_split_lie_on_the_untouched_images(copy):
  config = run_directory.read_config(copy)
  split = run_data.open_data(config, 'test')
  found = tones_of(split)
  assert len(found) == len(split) == len(labels_of(split, split.class_names))
  assert {tone.mask for tone in found} == {mask_kind(split)} == {'data set'}
  assert sum(tone.ita_deg is not None for tone in found) > 0.9 * len(split)
  config.data.preprocess = 'grey-stretch32'
  config.data.lesion = 'mask_crop'
  assert tones_of(run_data.open_data(config, 'test'), 1) == found
