"""The sections on calibration and on unknown classes say what their files hold."""

from __future__ import annotations

import json

import jinja2
import numpy as np
import pytest
from etils import epath

from data_builders.errors import UserError
from lesionjax.report import calibration, figures, rendering, unknown
from lesionjax.report.run_files import read_run
from tests.evaluation.calibration.predictions import draw
from tests.report.html_page import Page

NAMES = ('nv', 'mel', '<b>df')
_PAGE = """{% extends 'base.html.j2' %}{% block title %}t{% endblock %}{% block heading %}h
{% endblock %}{% block contents %}{% endblock %}{% block footer %}{% endblock %}{% block main %}
{% if calibration %}{% include 'calibration.html.j2' %}{% endif %}
{% if unknown %}{% include 'unknown.html.j2' %}{% endif %}{% endblock %}"""


def _page(directory):
  run = read_run(directory)
  parts = {'calibration': calibration, 'unknown': unknown}
  with figures.style():
    plots = rendering.write_figures(
      run.directory / 'figures', {name: part.plots(run) for name, part in parts.items()}
    )
  environment = rendering.environment()
  loader = environment.loader
  assert loader is not None
  environment.loader = jinja2.ChoiceLoader([loader, jinja2.DictLoader({'page': _PAGE})])
  contexts = {name: part.context(run) for name, part in parts.items()}
  return environment.get_template('page').render(plots=plots, facts=[], **contexts), plots


@pytest.fixture
def run(tmp_path):
  """A run directory that holds nothing but what these sections read."""
  from configs import base
  from lesionjax.data.records import Split
  from lesionjax.trust import calibration as trust_calibration
  from lesionjax.trust import unknown as trust_unknown
  from lesionjax.trust.evaluated import Evaluated, Unknown

  config = base.get_config()
  config.evaluate.resamples = 20
  config.data.leave_out_classes = ('vasc',)
  splits, outputs = {}, {}
  for name, seed in (('validation', 0), ('test', 1), ('new', 2)):
    drawn = draw(200, (0.7, 0.28, 0.02), sharpness=2.0, seed=seed)
    names = np.array([f'{name}_{row}' for row in range(200)])
    splits[name] = Split(
      name='set', split=name, class_names=NAMES, labels=drawn.labels.astype(np.int32),
      image_ids=names, group_ids=names, folds=np.zeros(200, np.int32), sources=(),
      places=np.zeros((200, 2), np.int64),
    )  # fmt: skip
    outputs[name] = {'logits': drawn.logits, 'pre_logits': drawn.logits + 5 * (name == 'new')}
  new = Unknown(splits.pop('new'), np.repeat(['vasc', '<script>'], 100), outputs.pop('new'))
  place = epath.Path(tmp_path)
  evaluated = Evaluated(config, place, place, NAMES, splits, outputs, {'test': new})
  trust_calibration.write(evaluated)
  trust_unknown.write(evaluated)
  (tmp_path / 'config.json').write_text('{}')
  (tmp_path / 'metrics.json').write_text('{"validation": {}, "test": {}}')
  return tmp_path


def _read(run, name):
  return json.loads((run / name).read_text())


def test_numbers_of_the_files_stand_on_the_page(run):
  page, plots = _page(run)
  text = ' '.join(Page(page).text.split())
  test = _read(run, 'calibration.json')['splits']['test']
  for state in ('before', 'after'):
    for name in ('ece', 'classwise_ece', 'brier', 'log_loss'):
      entry = test[state]['values'][name]
      assert f'{entry["value"]:.3f} {entry["low"]:.3f} to {entry["high"]:.3f}' in text
  sets = _read(run, 'conformal.json')['splits']['test']
  assert f'On test it does in {100 * sets["coverage"]["value"]:.1f} %' in text
  assert 'df: 9 are needed' in text
  rows = _read(run, 'selective.json')['splits']['test']['triage']['suspicion']
  assert f'{rows[3]["missed"]["value"]:.3f}' in text
  titles = [plot['title'] for plot in plots['calibration']]
  assert len(titles) == 4
  assert titles[0] == 'Reliability, before'
  assert 'nan' not in text.lower().split()


def test_unknown_images_are_told_with_their_measures(run):
  page, plots = _page(run)
  text = ' '.join(Page(page).text.split())
  scores = _read(run, 'novelty.json')['splits']['test']['scores']
  for by_kind in scores.values():
    assert f'{by_kind["all"]["auroc"]["value"]:.3f}' in text
  assert '200 do not (100 of <script>, 100 of vasc)' in text
  assert '<script>,' not in page  # escaped
  assert [plot['title'] for plot in plots['unknown']] == [
    'Unknown against known', 'Distance of features'
  ]  # fmt: skip


def test_without_files_there_are_no_sections(run):
  for name in ('calibration.json', 'novelty.json'):
    (run / name).unlink()
  page, plots = _page(run)
  assert 'id="calibration"' not in page
  assert 'id="unknown"' not in page
  assert plots == {'calibration': [], 'unknown': []}


def test_reasons_are_told(run):
  content = _read(run, 'calibration.json')
  content |= {'fitted': False, 'reason': 'The temperature is at the bound.'}
  content['fitted_on']['split'] = 'test'
  (run / 'calibration.json').write_text(json.dumps(content))
  (run / 'conformal.json').unlink()
  page, _ = _page(run)
  text = Page(page).text
  assert 'The temperature is at the bound.' in text
  assert 'what follows flatters them' in text
  assert 'Prediction sets' not in text


def test_a_damaged_file_is_told(run):
  (run / 'calibration.json').write_text('{"splits": {"test": {}}}')
  with pytest.raises(UserError, match='do not fit together'):
    calibration.context(read_run(run))
  (run / 'novelty.json').write_text('{"splits": {"test": {}}}')
  with pytest.raises(UserError, match=r'novelty\.json lacks'):
    unknown.context(read_run(run))
