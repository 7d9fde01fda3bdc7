"""Sections on subgroups, feature space and the model card say what a run's files say."""

from __future__ import annotations

import json
import shutil
import types

import jinja2
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.report import card, feature_space, figures, rendering, subgroups
from lesionjax.report.run_files import read_run
from lesionjax.trust import feature_space as trust_feature_space
from lesionjax.trust import subgroups as trust_subgroups
from tests.report import fake_run
from tests.report.html_page import Page
from tests.trust import made

_EVIL = '<script>alert("x")</script>'
_PAGE = "{% extends 'base.html.j2' %}{% block main %}{% include part %}{% endblock %}"


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """A run with predictions, subgroups and a map, of three classes."""
  run = fake_run.write_fake_run(tmp_path_factory.mktemp('runs') / 'run', made.NAMES, 240, 2, 20)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(trust_subgroups, 'read_metadata', made.metadata)
    patch.setattr(trust_subgroups, 'tones_of', made.tones)
    made.write_threshold(run)
    trust_subgroups.write(made.evaluated(run))
  trust_feature_space.write(made.evaluated(run, feature_map=60))
  return run


@pytest.fixture
def run_dir(finished, tmp_path, monkeypatch):
  """A copy, to be changed; its figures are not drawn."""
  blank = figures.Encoded(b'<svg xmlns="http://www.w3.org/2000/svg"/>', b'')
  monkeypatch.setattr(figures, 'encode', lambda plot: blank)
  monkeypatch.setattr(trust_subgroups, 'read_metadata', made.metadata)
  monkeypatch.setattr(trust_subgroups, 'tones_of', made.tones)
  return shutil.copytree(finished, tmp_path / 'run')


def section(module, run_dir):
  """The section as a page of its own, and its figures."""
  name = module.__name__.rpartition('.')[2]
  run = read_run(run_dir)
  with figures.style():
    plots = module.plots(run)
    shown = rendering.write_figures(run.directory / 'figures', {name: plots})
  environment = rendering.environment()
  environment.loader = jinja2.ChoiceLoader([environment.loader, jinja2.DictLoader({'page': _PAGE})])
  context = module.context(run)
  assert context is not None
  values = {'part': f'{name}.html.j2', 'plots': shown, name: context, 'facts': []}
  text = environment.get_template('page').render(values)
  return types.SimpleNamespace(page=Page(text), text=text, plots=plots)


def change(path, edit):
  content = json.loads(path.read_text())
  edit(content)
  path.write_text(json.dumps(content))


def test_what_a_run_lacks_has_no_section(tmp_path):
  run = read_run(fake_run.write_fake_run(tmp_path / 'run', made.NAMES, 60, 2, 10))
  for module in (subgroups, feature_space):
    assert module.context(run) is None
    assert module.plots(run) == []
  assert 'how it does by skin tone, sex or age is unknown' in str(card.context(run))


def test_the_verdict_names_what_differs_what_not_and_what_is_too_small(run_dir):
  shown = section(subgroups, run_dir)
  test = json.loads((run_dir / 'subgroups.json').read_text())['splits']['test']
  p = {name: table['tests']['sensitivity']['p_holm'] for name, table in test['attributes'].items()}
  assert p['sex'] < 0.05
  differ, alike, unknown = subgroups.outcome(test, 'sensitivity')
  assert 'sex' in differ
  assert len(differ) + len(alike) + len(unknown) == len(p)
  assert 'Subgroups: sensitivity differs by' in shown.page.text
  assert 'Skin could not be measured in 24 of 240 images (24: too little skin' in shown.page.text
  assert 'The data do not record site' in shown.page.text
  assert 'at the threshold 0.400 (sensitivity 90 %, fitted on validation)' in shown.page.text
  women = next(r for r in test['attributes']['sex']['subgroups'] if r['name'] == 'female')
  entry = women['sensitivity']
  assert f'female {entry["value"]:.2f} ({entry["low"]:.2f} to {entry["high"]:.2f})' in (
    shown.plots[0].alt
  )
  assert f'{entry["value"]:.3f} {entry["low"]:.3f} to {entry["high"]:.3f}' in shown.page.text
  assert 'Of one source only: nv (clinic)' in shown.page.text
  assert 'not measured' in shown.page.text


def test_nothing_large_enough_is_said(run_dir):
  trust_subgroups.write(made.evaluated(run_dir, min_count=1000))
  shown = section(subgroups, run_dir)
  assert shown.plots == []
  assert 'too few positive lesions to compare sensitivity' in shown.page.text
  assert 'nan' not in shown.page.text.lower().split()


def test_names_in_the_files_cannot_break_the_page(run_dir):
  def rename(content):
    table = content['splits']['test']['attributes']['sex']
    table['subgroups'][0]['name'] = _EVIL

  change(run_dir / 'subgroups.json', rename)
  change(run_dir / 'data.json', lambda data: data.update(name=_EVIL, licence=_EVIL))
  for module in (subgroups, card):
    shown = section(module, run_dir)
    assert 'script' not in shown.page.tags
    assert '<script>' not in shown.text


def test_the_card_draws_limits_and_licence_from_the_files(run_dir):
  change(run_dir / 'data.json', lambda data: data.update(licence='CC BY-NC 4.0'))
  change(run_dir / 'data.json', lambda data: data['splits']['train']['support'].update(mel=12))
  text = section(card, run_dir).page.text
  test = json.loads((run_dir / 'metrics.json').read_text())['test']['macro_auc']
  assert f'Macro AUC {test["value"]:.3f} ({test["low"]:.3f} to {test["high"]:.3f})' in text
  assert 'under CC BY-NC 4.0: the weights are for non-commercial use only' in text
  assert 'Fewer than 100 training images: mel (12)' in text
  assert 'All images of a class come from one source: nv (clinic)' in text
  assert 'commit 0123456789ab' in text
  assert 'highest threshold that reaches 90 % sensitivity on the validation split' in text
  card_text = text.split('Written from')[0]
  assert 'medical device' not in card_text  # the page's end says it once


@pytest.mark.parametrize(
  ('licence', 'expected'),
  [
    ('CC BY-NC 4.0', True), ('CC-BY-NC-SA', True), ('Non-commercial use', True),
    ('CC BY 4.0', False), ('CC0-1.0', False), ('NCSA', False),
  ],
)  # fmt: skip
def test_non_commercial_licences(licence, expected):
  assert card.is_non_commercial(licence) is expected


def test_the_map_is_drawn_by_class_and_by_split(run_dir):
  shown = section(feature_space, run_dir)
  numbers = json.loads((run_dir / 'feature_space.json').read_text())
  macro = numbers['agreement']['macro']
  assert f'{macro["value"]:.3f} ({macro["low"]:.3f} to {macro["high"]:.3f})' in shown.page.text
  assert [plot.title for plot in shown.plots] == ['By class', 'By split']
  assert 'bkl 20, mel 20, nv 20' in shown.plots[0].alt
  with np.load(run_dir / 'feature_space.npz') as arrays:
    place = arrays['coordinates']
  for plot in shown.plots:
    (axes,) = plot.figure.axes
    drawn = np.concatenate([c.get_offsets() for c in axes.collections])
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, place.tolist()))
  np.savez(run_dir / 'feature_space.npz', coordinates=place, label=[9], split=['x'],
           class_names=['a'])  # fmt: skip
  with pytest.raises(UserError, match=r'feature_space\.npz holds arrays of different lengths'):
    section(feature_space, run_dir)
