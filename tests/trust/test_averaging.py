"""Runs and views averaged, end to end on a tiny data set, and what may not be averaged."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.report import averaged as page
from lesionjax.report.run_files import read_run
from lesionjax.runs import opened, run_data, run_directory
from lesionjax.runs.inference import softmax
from lesionjax.trust import parts
from lesionjax.trust.averaging import evaluate_average


def copy(run: pathlib.Path, to: pathlib.Path) -> pathlib.Path:
  """A run again, whose checkpoints are links: nothing writes there."""
  to.mkdir(parents=True)
  for path in run.iterdir():
    if path.is_file():
      shutil.copy(path, to / path.name)
  os.symlink(run / 'checkpoints', to / 'checkpoints')
  return to


@pytest.fixture
def twin(run, tmp_path) -> pathlib.Path:
  return copy(run, tmp_path / 'other' / run.name)


def change(run: pathlib.Path, name: str, change) -> None:
  value = json.loads((run / name).read_text())
  change(value)
  (run / name).write_text(json.dumps(value))


def test_views_of_one_run_are_averaged_and_reported(run, tmp_path):
  out = tmp_path / 'out'
  seen = []
  report = evaluate_average([str(run)], 'quarter_turns', str(out), parts=[seen.append])
  assert report == str(out / 'report.html')
  found = json.loads((out / 'averaged.json').read_text())
  assert (found['views'], found['key'], found['single']) == (8, 'views', run.name)
  assert [way['key'] for way in found['splits']['test']['ways']] == ['single', 'views']

  # By hand: the mean of the softmax of the eight views, read one view at a time.
  place = run_directory.locate(str(run))
  config, names = run_directory.read_config(place), run_directory.class_names(place)
  network = opened.network(config, place, names)
  split = run_data.open_data(config, 'test')
  pixels = np.stack([split.decode(row, 16) for row in range(len(split))])
  turned = [np.rot90(side, k, (1, 2)) for side in (pixels, pixels[:, :, ::-1]) for k in range(4)]
  shares = []
  for images in turned:
    padded = np.concatenate([images, np.zeros((-len(images) % 16, 16, 16, 3), np.uint8)])
    logits = [
      network.predict(network.weights, {'image': batch, 'valid': np.ones(16, bool)})['logits']
      for batch in padded.reshape(-1, 16, 16, 16, 3)
    ]
    shares.append(softmax(np.concatenate([np.asarray(each) for each in logits])[: len(images)]))
  with np.load(out / 'predictions_test.npz') as saved:
    np.testing.assert_allclose(saved['probabilities'], np.mean(shares, 0), atol=1e-5)
    assert saved['pre_logits'].shape == (len(split), 16)
  np.testing.assert_allclose(seen[0].probabilities('test'), np.mean(shares, 0), atol=1e-5)

  # Beside it the same run alone, as its own evaluation measured it.
  own = json.loads((run / 'metrics.json').read_text())['test']
  single = found['splits']['test']['ways'][0]['metrics']
  for name in ('macro_auc', 'balanced_accuracy', 'accuracy'):
    assert single[name]['value'] == pytest.approx(own[name]['value'], abs=1e-6)
  ours = json.loads((out / 'metrics.json').read_text())['test']
  gain = found['splits']['test']['ways'][1]['gain']['accuracy']['value']
  assert ours['accuracy']['value'] - own['accuracy']['value'] == pytest.approx(gain, abs=1e-6)
  assert ours['colour_baseline_auc'] == own['colour_baseline_auc']
  assert 'confusion' in pathlib.Path(report).read_text()
  assert page.context(read_run(out)) is not None


def test_a_run_beside_itself_gains_nothing(run, twin, tmp_path):
  out = tmp_path / 'out'
  out.mkdir()
  (out / 'averaged.json').write_text('{}')  # the place of an average may be used again
  change(twin, 'config.json', lambda config: config['evaluate'].update(explain=4))
  evaluate_average([str(twin), str(run)], '', str(out), parts=parts.WRITERS)
  assert {path.name for path in out.iterdir()} >= {'thresholds.json', 'calibration.json'}
  found = json.loads((out / 'averaged.json').read_text())
  names = [member['name'] for member in found['members']]
  assert names == [f'other/{run.name}', f'{run.parent.name}/{run.name}']
  single, members = found['splits']['test']['ways']
  assert (single['key'], members['key'], found['key']) == ('single', 'members', 'members')
  for name, gain in members['gain'].items():
    assert gain['value'] == pytest.approx(0, abs=1e-6), name
  assert found['members'][0]['metrics'] == found['members'][1]['metrics']
  with np.load(out / 'predictions_test.npz') as ours, np.load(run / 'predictions_test.npz') as own:
    np.testing.assert_allclose(ours['probabilities'], own['probabilities'], atol=1e-6)
    assert ours['pre_logits'].shape[1] == 2 * own['pre_logits'].shape[1]


def test_what_cannot_be_averaged_is_refused(run, twin, tmp_path):
  out = str(tmp_path / 'out')
  both = [str(run), str(twin)]
  for workdirs, views, place, expected in (
    ([str(run)], '', out, 'nothing to average'),
    ([str(run), str(run)], '', out, 'names a run twice'),
    (both, 'turns', out, 'choose none, flips or quarter_turns'),
    (both, '', '', '--out=DIR is missing'),
    (both, '', str(run), 'so it is something else'),
    ([str(run), str(tmp_path)], '', out, 'it has no config.json'),
  ):
    with pytest.raises(UserError, match=expected):
      evaluate_average(workdirs, views, place)
  assert not os.path.exists(out)


@pytest.mark.parametrize(
  ('name', 'changed', 'expected'),
  [
    ('data.json', lambda data: data.update(class_names=['x', 'y']), 'know other classes'),
    ('data.json', lambda data: data.update(fingerprint='0' * 64), 'with other images'),
    ('config.json', lambda c: c['data'].update(test_split='train'), 'have other splits'),
    ('config.json', lambda c: c.update(task='segment'), 'classifiers are averaged'),
    ('config.json', lambda c: c['data'].update(height_px=24), '16 x 24 px'),
  ],
)
def test_runs_that_do_not_go_together_are_refused(run, twin, tmp_path, name, changed, expected):
  change(twin, name, changed)
  with pytest.raises(UserError, match=expected):
    evaluate_average([str(run), str(twin)], 'quarter_turns', str(tmp_path / 'out'))
  assert not (tmp_path / 'out').exists()


def test_a_member_that_has_seen_the_test_is_refused(run, twin, tmp_path):
  with np.load(run / 'predictions_test.npz') as saved:
    group = str(saved['group_id'][0])
  change(twin, 'seen.json', lambda seen: seen['groups'].append(group))
  with pytest.raises(UserError, match=f'the run {twin} was trained on'):
    evaluate_average([str(run), str(twin)], '', str(tmp_path / 'out'))
