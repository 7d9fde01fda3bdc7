"""The slider in headless Chromium: what the page counts is what NumPy counts."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from lesionjax.report import operating_slider
from tests.report import operating_page
from tests.report.fake_run import write_fake_run

_BROWSER = shutil.which('chromium') or shutil.which('google-chrome')

# Moves the slider as a hand does, presses every button, and writes down what the page shows.
_SCRIPT = """
var slider = document.getElementById('operating-range'), seen = {moved: [], pressed: {}};
function text(name) { return document.getElementById('operating-' + name).textContent; }
function read() {
  var shown = {
    pressed: document.querySelectorAll('[aria-pressed=true]').length,
    state: document.getElementById('operating-state').className,
    spoken: slider.getAttribute('aria-valuetext')
  };
  ['threshold', 'tp', 'fp', 'fn', 'tn', 'sensitivity', 'specificity', 'ppv', 'npv', 'referred',
    'referred-count', 'origin'].forEach(function (name) { shown[name] = text(name); });
  return shown;
}
seen.start = read();
[0, 1, 57, 200, Number(slider.max)].forEach(function (step) {
  slider.value = step; slider.dispatchEvent(new Event('input', {bubbles: true}));
  seen.moved.push(read());
});
document.querySelectorAll('button[data-point]').forEach(function (button) {
  button.click(); seen.pressed[button.dataset.point] = read();
});
var kept = document.body.appendChild(document.createElement('pre'));
kept.id = 'seen'; kept.textContent = JSON.stringify(seen);
"""


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """A run directory with thresholds, and what the browser saw of its page."""
  if _BROWSER is None:
    pytest.skip('neither chromium nor google-chrome is on PATH')
  run = write_fake_run(tmp_path_factory.mktemp('slider') / 'run', images=400, resamples=20)
  thresholds = operating_page.write_thresholds(run)
  page = operating_page.write_page(run, _SCRIPT)
  profile = tmp_path_factory.mktemp('profile')
  done = subprocess.run(
    [
      _BROWSER, '--headless', '--no-sandbox', '--disable-gpu', '--enable-logging=stderr',
      f'--user-data-dir={profile}', '--virtual-time-budget=3000', '--dump-dom', page.as_uri(),
    ],
    capture_output=True, text=True, timeout=120, check=True,
  )  # fmt: skip
  found = re.search('<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
  assert found, done.stderr
  return run, thresholds, json.loads(html.unescape(found[1])), done.stderr


def counted(run, threshold, positive):
  arrays = np.load(run / 'predictions_test.npz')
  names = arrays['class_names'].tolist()
  columns = [names.index(name) for name in positive]
  truth = np.isin(arrays['label'], columns)
  scores = arrays['probabilities'][:, columns].sum(1, dtype=np.float64)
  called = scores >= threshold
  return {
    'tp': (truth & called).sum(), 'fp': (~truth & called).sum(),
    'fn': (truth & ~called).sum(), 'tn': (~truth & ~called).sum(),
  }  # fmt: skip


def check(shown, cells):
  assert {name: int(shown[name]) for name in cells} == cells
  tp, fp, fn, tn = (int(cells[name]) for name in ('tp', 'fp', 'fn', 'tn'))
  parts = {
    'sensitivity': (tp, tp + fn), 'specificity': (tn, tn + fp), 'ppv': (tp, tp + fp),
    'npv': (tn, tn + fn), 'referred': (tp + fp, tp + fp + tn + fn),
  }  # fmt: skip
  for name, (part, whole) in parts.items():
    if not whole:
      assert shown[name] == 'undefined'
    else:
      assert float(shown[name].removesuffix(' %')) == pytest.approx(100 * part / whole, abs=0.051)
  assert shown['referred-count'] == f'{tp + fp} of {tp + fp + tn + fn}'


def test_it_starts_at_the_saved_point_of_sensitivity_90(made):
  _, thresholds, seen, _ = made
  point = thresholds['splits']['test']['points']['sensitivity_90']
  assert float(seen['start']['threshold']) == pytest.approx(point['threshold'], rel=1e-5)
  check(seen['start'], {name: point[name]['value'] for name in ('tp', 'fp', 'fn', 'tn')})
  assert seen['start']['origin'].startswith('Fitted on validation: sensitivity ≥ 90 %')
  assert seen['start']['state'] == 'box'


def test_a_moved_slider_counts_as_numpy_does_and_says_that_it_explores(made):
  run, thresholds, seen, _ = made
  for shown in seen['moved'][1:]:
    cells = counted(run, float(shown['threshold']), thresholds['positive']['classes'])
    check(shown, cells)
    assert shown['origin'].startswith('Exploring on test')
    assert (shown['state'], shown['pressed']) == ('box warn', 0)
    assert shown['spoken'].startswith(f'threshold {shown["threshold"]}, sensitivity ')
  nothing = seen['moved'][0]
  assert (nothing['threshold'], nothing['tp'], nothing['fp']) == ('above every score', '0', '0')
  assert nothing['ppv'] == 'undefined'
  assert seen['moved'][-1]['fn'] == seen['moved'][-1]['tn'] == '0'


def test_every_button_shows_the_measured_point(made):
  _, thresholds, seen, _ = made
  points = thresholds['splits']['test']['points']
  assert seen['pressed'].keys() == points.keys()
  for name, point in points.items():
    check(seen['pressed'][name], {cell: point[cell]['value'] for cell in ('tp', 'fp', 'fn', 'tn')})
    assert seen['pressed'][name]['pressed'] == 1
    assert seen['pressed'][name]['origin'].startswith('Fitted on validation')


def test_the_console_stays_silent(made):
  assert 'CONSOLE' not in made[3], made[3]


@pytest.mark.parametrize('decimals', [2, 16])
def test_the_data_are_small_and_exact_at_every_step(decimals):
  rng = np.random.default_rng(0)
  truth = rng.random(20_000) < 0.2
  scores = np.round(1 / (1 + np.exp(-rng.normal(size=20_000) - 2 * truth)), decimals)
  named = {f'point{i}': ('words', float(t)) for i, t in enumerate(rng.random(9))}
  made = operating_slider.slider_data(truth, scores, named, 'point3')
  assert len(made['json']) < 50_000
  data = json.loads(made['json'])
  assert len(data['t']) - 1 == made['steps'] <= operating_slider.MOST_STEPS
  for t, tp, fp in zip(data['t'][1:], data['tp'][1:], data['fp'][1:], strict=True):
    called = scores >= t
    assert (tp, fp) == ((truth & called).sum(), (~truth & called).sum())
  for point in data['named'].values():
    called = scores >= point['threshold']
    assert data['tp'][point['step']] + data['fp'][point['step']] == called.sum()
  assert (data['start'], data['step']) == ('point3', data['named']['point3']['step'])


def test_without_fitted_points_it_starts_at_a_half():
  made = operating_slider.slider_data(
    np.array([True, False, True]), np.array([0.9, 0.6, 0.4]), {}, 'sensitivity_90'
  )
  data = json.loads(made['json'])
  assert data == {
    't': [None, 0.9, 0.6, 0.4], 'tp': [0, 1, 1, 2], 'fp': [0, 0, 1, 1], 'positives': 2,
    'negatives': 1, 'named': {}, 'start': '', 'step': 2,
  }  # fmt: skip
