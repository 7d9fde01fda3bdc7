"""A row of docs/results at an operating point."""

from __future__ import annotations

import json
import shutil

import pytest

from data_builders.errors import UserError
from lesionjax.report import result_points, results
from tests.report import operating_page
from tests.report.fake_run import write_fake_run
from tests.report.test_results import CLAIMS

CLAIM = {
  **CLAIMS['text'],
  'dataset': 'synthetic_dermoscopy',
  'rows': {'only': {'label': 'Best F1', 'claimed': {'f1/malignant': 0.7, 'auc/malignant': 0.8}}},
  'headline': ['only', 'f1/malignant'],
}
PAGE = '<!-- results:begin text -->\n<!-- results:end text -->\n'


@pytest.fixture(scope='module')
def binary(tmp_path_factory):
  folder = tmp_path_factory.mktemp('binary') / 'run'
  return write_fake_run(folder, names=('benign', 'malignant'), images=120, resamples=20, epochs=1)


@pytest.fixture
def add(tmp_path, binary):
  """Returns a function that adds the run; and where it is added to."""
  root = tmp_path / 'repository'
  (root / 'docs' / 'results').mkdir(parents=True)
  (root / 'docs' / 'results' / 'claims.json').write_text(json.dumps({'text': CLAIM}))
  for page in results.PAGES:
    (root / page).write_text(PAGE)

  def run(protocol, *arguments):
    copy = tmp_path / f'run_{protocol}'
    if not copy.exists():
      shutil.copytree(binary, copy)
      config = json.loads((copy / 'config.json').read_text()) | {'protocol': protocol}
      (copy / 'config.json').write_text(json.dumps(config))
      operating_page.write_thresholds(copy, protocol=protocol)
    made = ['--root', str(root), 'add', str(copy), '--system=text', *arguments]
    assert results.main(made) == 0
    thresholds = json.loads((copy / 'thresholds.json').read_text())
    metrics = json.loads((copy / 'metrics.json').read_text())
    written = root / 'docs' / 'results' / f'text-only-{protocol}-seed0.json'
    return json.loads(written.read_text()), thresholds, metrics, root

  return run


def test_rigorous_takes_the_threshold_fitted_on_validation(add):
  written, thresholds, metrics, root = add('rigorous', '--point=best_f1')
  point = thresholds['splits']['test']['points']['best_f1']
  assert written['point'] == {
    'name': 'best_f1', 'fitted_on': 'validation', 'tuned_on_test': False,
    'threshold': thresholds['fitted']['points']['best_f1']['threshold'],
  }  # fmt: skip
  test = written['metrics']['test']
  assert test['f1/malignant'] == point['f1']
  assert test['accuracy'] == point['accuracy']
  assert test['precision/malignant'] == point['ppv']
  assert test['recall/malignant'] == test['sensitivity'] == point['sensitivity']
  assert test['recall/benign'] == point['specificity']
  assert test['auc/malignant'] == metrics['test']['auc/malignant']
  # What the arg-max gave is not mixed with what the threshold gives.
  assert not {'macro_f1', 'weighted_f1', 'f1/benign', 'macro_precision'} & test.keys()
  assert list(written['metrics']) == ['test']
  assert len(json.dumps(written)) < 8_000
  shown = f'{point["f1"]["value"]:.3f} [{point["f1"]["low"]:.3f}, {point["f1"]["high"]:.3f}]'
  assert shown in (root / 'docs' / 'results.md').read_text()


def test_published_takes_the_threshold_tuned_on_test(add):
  written, thresholds, _, _ = add('published', '--point=sensitivity_90')
  point = thresholds['tuned_on_test']['points']['sensitivity_90']
  assert written['point']['tuned_on_test'] is True
  assert written['point']['fitted_on'] == 'test'
  assert written['point']['threshold'] == point['threshold']
  assert written['metrics']['test']['recall/malignant']['value'] >= 0.9
  assert written['metrics']['test']['precision/malignant'] == point['ppv']


def test_without_a_point_nothing_changes(add):
  written, _, metrics, _ = add('rigorous')
  assert written['metrics'] == metrics
  assert 'point' not in written


def test_what_does_not_fit_is_told(binary, tmp_path):
  run = tmp_path / 'run'
  shutil.copytree(binary, run)
  thresholds = operating_page.write_thresholds(run)
  metrics = json.loads((run / 'metrics.json').read_text())

  def take(point='best_f1', split='test', protocol='rigorous', found=thresholds, of=metrics):
    return result_points.at_point(of, found, point, split, protocol)

  with pytest.raises(UserError, match=r'--point=f1 is not a point .* it has best_f1, sensitivity'):
    take('f1')
  with pytest.raises(UserError, match='nothing of the split test under the published protocol'):
    take(protocol='published')
  with pytest.raises(UserError, match='nothing of the split other under the rigorous protocol'):
    take(split='other')
  none = thresholds['splits'] | {'test': thresholds['splits']['test'] | {'points': {}}}
  why = thresholds['fitted'] | {'problem': 'None is positive.'}
  with pytest.raises(UserError, match=r'it has none \(None is positive\)'):
    take(found=thresholds | {'splits': none, 'fitted': why})
  three = {'test': metrics['test'] | {'support/nv': {}}}
  with pytest.raises(UserError, match='goes with runs of two classes'):
    take(of=three)


def test_a_run_without_thresholds_is_told(add, binary, tmp_path, capsys):
  *_, root = add('rigorous')
  arguments = ['--root', str(root), 'add', str(binary), '--system=text', '--point=youden']
  assert results.main(arguments) == 1
  assert 'thresholds.json is missing: name the directory of a run' in capsys.readouterr().err
