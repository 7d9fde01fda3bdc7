"""The page says what the files say, and nothing a file holds can break it."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import warnings

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.report import figures
from lesionjax.report.page import write_report
from tests.report import fake_run
from tests.report.html_page import Page

_EVIL = '<script>alert("x")</script>'


def make(run_dir: pathlib.Path) -> Page:
  return Page(pathlib.Path(write_report(run_dir)).read_text())


def change(path: pathlib.Path, edit) -> None:
  value = json.loads(path.read_text())
  edit(value)
  path.write_text(json.dumps(value))


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  return fake_run.write_fake_run(tmp_path_factory.mktemp('runs') / 'finished', resamples=40)


@pytest.fixture(scope='module')
def finished_page(finished):
  return make(finished)


@pytest.fixture
def run_dir(finished, tmp_path, monkeypatch):
  """A copy of the finished run without its report, to be changed; its figures are not drawn."""
  blank = figures.Encoded(b'<svg xmlns="http://www.w3.org/2000/svg"/>', b'')
  monkeypatch.setattr(figures, 'encode', lambda plot: blank)
  copy = tmp_path / 'changed'
  shutil.copytree(finished, copy, ignore=shutil.ignore_patterns('figures', 'report.html'))
  return copy


def test_the_headline_is_what_metrics_json_says(finished, finished_page):
  test = json.loads((finished / 'metrics.json').read_text())['test']
  headline = finished_page.text.split('Class by class')[0]
  for metric in (
    'macro_auc',
    'balanced_accuracy',
    'accuracy',
    'majority_accuracy',
    'macro_f1',
    'colour_baseline_auc',
  ):
    entry = test[metric]
    assert f'{entry["value"]:.3f}' in headline
    told = f'95\xa0% interval {entry["low"]:.3f} to {entry["high"]:.3f}, n\xa0=\xa0300'
    assert ' '.join(told.split()) in headline


def test_the_page_is_one_file_without_network_or_script(finished, finished_page):
  report = finished / 'report.html'
  assert report.stat().st_size < 8e6
  assert all(source.startswith('data:image/') for source in finished_page.sources)
  assert all(link.startswith(('#', 'data:')) for link in finished_page.links)
  assert 'script' not in finished_page.tags
  assert "default-src 'none'" in report.read_text()


def test_every_picture_has_words_and_every_link_a_target(finished_page):
  assert len(finished_page.alts) >= 10 + 24
  assert all(finished_page.alts)
  assert len(set(finished_page.ids)) == len(finished_page.ids)
  targets = {link[1:] for link in finished_page.links if link.startswith('#')}
  assert targets == set(finished_page.ids)


def test_figures_lie_beside_the_page(finished, finished_page):
  names = {path.name for path in (finished / 'figures').iterdir()}
  for name in ('roc_test', 'confusion_counts_test', 'curve_loss', 'class_distribution'):
    assert {f'{name}.svg', f'{name}.png'} <= names
  assert not [path for path in finished.rglob('*') if path.name.endswith('.tmp')]


def test_a_report_is_the_same_each_time(finished, finished_page):
  before = (finished / 'report.html').read_bytes()
  write_report(finished)
  assert (finished / 'report.html').read_bytes() == before


def test_provenance_configuration_and_environment_are_told(finished_page):
  for words in (
    'synthetic_dermoscopy/grouped 1.0.0',
    'Apache-2.0',
    '9f2c' * 16,
    'augment.rotation_deg',
    '5 min 12 s',
    '1,840 MB',
    'python main.py --config=configs/quickstart.py',
    'the support of every class equals its count in the data set',
  ):
    assert words in finished_page.text
  assert finished_page.text.count('Not a medical device') == 1


def test_a_loss_that_ran_away_is_told_though_it_is_finite(run_dir):
  assert 'Training diverged' not in make(run_dir).text
  path = run_dir / 'metrics.jsonl'
  records = [json.loads(line) for line in path.read_text().splitlines()]
  for record in records:
    if record['kind'] == 'train':
      record['loss'] = 2.8e14
  path.write_text('\n'.join(map(json.dumps, records)))
  assert 'Training diverged: its loss ended at 2.8e+14, where guessing has' in make(run_dir).text


def test_support_that_is_not_the_data_s_raises_an_error_box(run_dir):
  def edit(data):
    data['splits']['test']['support']['mel'] += 3

  change(run_dir / 'data.json', edit)
  page = make(run_dir)
  assert 'The numbers below do not belong to the data they name.' in page.text
  assert re.search(r'test: metrics rest on (\d+) images of class mel, the data hold', page.text)
  assert 'equals its count' not in page.text


def test_finer_classes_of_an_external_set_are_counted_together(run_dir):
  def edit(data):
    data['class_names'] = ['akiec' if name == 'ak' else name for name in data['class_names']]

  def split(data):
    support = data['splits']['test']['support']
    support['unheard-of'] = 1

  change(run_dir / 'data.json', split)
  page = make(run_dir)
  assert 'Support could not be compared' in page.text
  assert 'unheard-of' in page.text


@pytest.mark.parametrize(
  ('missing', 'words'),
  [
    (['metrics.jsonl'], 'There are no training curves here'),
    (['examples_test.npz'], 'No example images were saved'),
    (['predictions_test.npz', 'predictions_validation.npz'], 'There are no predictions to count'),
    (['config.json'], 'config.json is missing'),
    (['environment.json'], 'environment.json is missing'),
    (['data.json'], 'data.json is missing'),
    (['metrics.json'], 'has not been evaluated yet'),
  ],
)
def test_what_is_missing_is_said(run_dir, missing, words):
  for name in missing:
    (run_dir / name).unlink()
  assert words in make(run_dir).text


def test_an_evaluation_of_an_external_set_is_a_page(run_dir):
  for name in ('metrics.jsonl', 'predictions_validation.npz', 'examples_validation.npz'):
    (run_dir / name).unlink()
  change(run_dir / 'metrics.json', lambda m: [m.pop(k) for k in list(m) if 'valid' in k])
  change(run_dir / 'metrics.json', lambda m: m['test'].pop('colour_baseline_auc'))
  page = make(run_dir)
  assert 'No colour baseline was measured' in page.text
  assert 'More accurate than always naming the most frequent class' in page.text


def test_a_directory_without_a_run_is_refused(tmp_path):
  with pytest.raises(UserError, match='nothing to report'):
    write_report(tmp_path)
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  ('name', 'content', 'words'),
  [
    ('metrics.json', '{"test": ', 'not valid JSON'),
    ('config.json', '[]', 'holds a list'),
    ('predictions_test.npz', 'PK nonsense', 'predictions_test.npz cannot be read'),
  ],
)
def test_a_broken_file_is_named_and_the_old_report_stays(run_dir, name, content, words):
  (run_dir / 'report.html').write_text('old')
  (run_dir / name).write_text(content)
  with pytest.raises(UserError, match=words):
    write_report(run_dir)
  assert (run_dir / 'report.html').read_text() == 'old'


def test_examples_of_other_predictions_are_refused(run_dir):
  np.savez(run_dir / 'examples_test.npz', index=[300], image=np.zeros((1, 8, 8, 3), np.uint8))
  with pytest.raises(UserError, match='does not belong to predictions_test'):
    write_report(run_dir)


def test_everything_from_files_is_escaped(tmp_path):
  names = (_EVIL, '$\\frac{1}{0}$', 'quote" onload="x')
  run_dir = fake_run.write_fake_run(tmp_path / 'evil', names, images=60, epochs=2, resamples=10)
  with np.load(run_dir / 'predictions_test.npz') as arrays:
    stored = dict(arrays)
  stored['image_id'] = np.full(60, _EVIL)
  np.savez(run_dir / 'predictions_test.npz', **stored)
  change(run_dir / 'config.json', lambda c: c.update({_EVIL: _EVIL, 'recipe': _EVIL}))
  change(run_dir / 'environment.json', lambda e: e.update(command=_EVIL, cpu=_EVIL))
  change(run_dir / 'data.json', lambda d: d.update(description=_EVIL, citation=_EVIL))
  page = make(run_dir)
  assert 'script' not in page.tags
  assert '<script' not in (run_dir / 'report.html').read_text().lower()
  assert page.text.count(_EVIL) > 5


def test_a_binary_task_shows_sensitivity_and_one_curve(tmp_path):
  run_dir = fake_run.write_fake_run(
    tmp_path / 'binary', ('benign', 'malignant'), images=80, epochs=3, resamples=20
  )
  page = make(run_dir)
  headline = page.text.split('Class by class')[0]
  assert 'Sensitivity' in headline
  assert 'Specificity' in headline
  (roc,) = [alt for alt in page.alts if alt.startswith('ROC')]
  assert 'malignant AUC' in roc
  assert 'benign AUC' not in roc


def test_undefined_metrics_and_absent_classes_are_said(run_dir):
  def edit(metrics):
    for kind in ('recall', 'precision', 'f1', 'auc', 'average_precision'):
      metrics['test'][f'{kind}/mel'] = {'value': None, 'low': None, 'high': None, 'n': 0}
    metrics['test']['macro_auc'] = {'value': None, 'low': None, 'high': None, 'n': 300}

  change(run_dir / 'metrics.json', edit)
  page = make(run_dir)
  assert 'undefined' in page.text
  assert 'nan' not in page.text.lower().replace('nano', '')


def test_a_split_of_one_class_is_drawn_without_warning(tmp_path):
  run_dir = fake_run.write_fake_run(tmp_path / 'one', ('a', 'b', 'c'), images=40, resamples=10)
  with np.load(run_dir / 'predictions_test.npz') as arrays:
    stored = dict(arrays)
  stored['label'] = np.zeros(40, np.int32)
  np.savez(run_dir / 'predictions_test.npz', **stored)
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    page = make(run_dir)
  (roc,) = [alt for alt in page.alts if alt.startswith('ROC')]
  assert 'b undefined' in roc
  assert 'The numbers below do not belong' in page.text  # the labels are no longer the data's


def test_the_published_protocol_is_marked(run_dir):
  change(run_dir / 'config.json', lambda c: c.update(protocol='published'))
  assert 'Published protocol.' in make(run_dir).text
