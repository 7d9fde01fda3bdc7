"""Classes that are left out of training: gone from it, unknown in the test split, and measured."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from data_builders import build
from data_builders.errors import UserError
from lesionjax import experiment
from lesionjax.data.datasets import open_split
from tests.data_builders import isic_fixture

LEFT_OUT = ('vasc', 'df')
NAME = 'synthetic_dermoscopy/tiny'


def _read(path):
  return json.loads(path.read_text(), parse_constant=pytest.fail)  # no NaN


@pytest.fixture(scope='module')
def places(tmp_path_factory):
  return tmp_path_factory.mktemp('unknown') / 'run'


@pytest.fixture
def run(tiny_config, places):
  """A run that knows neither vascular lesions nor dermatofibromas, trained once."""
  tiny_config.data.leave_out_classes = LEFT_OUT
  tiny_config.data.sampling = 'balanced'
  tiny_config.train.epochs = 1
  tiny_config.evaluate.colour_baseline = False
  if not places.exists():
    experiment.train(tiny_config, str(places))
  return places


def _whole(split, data_dir):
  found = open_split(NAME, split, str(data_dir))
  names = np.array(found.class_names)[found.labels]
  return found, names, np.isin(names, LEFT_OUT)


def test_the_run_knows_and_counts_the_other_classes_only(run, tiny_data_dir):
  data = _read(run / 'data.json')
  assert len(data['class_names']) == 6
  assert not set(LEFT_OUT) & set(data['class_names'])
  assert data['left_out_classes'] == list(LEFT_OUT)
  metrics = _read(run / 'metrics.json')
  for split in ('train', 'validation', 'test'):
    found, names, unknown = _whole(split, tiny_data_dir)
    counts = data['splits'][split]
    assert counts['support'] == {name: (names == name).sum() for name in data['class_names']}
    assert counts['images'] == (~unknown).sum()
    assert counts['left_out'] == unknown.sum() > 0
    assert counts['groups'] == len(set(found.group_ids[~unknown]))
    if split != 'train':
      assert metrics[split]['accuracy']['n'] == (~unknown).sum()
      for name in data['class_names']:
        assert metrics[split][f'support/{name}']['value'] == counts['support'][name]
  with np.load(run / 'predictions_test.npz', allow_pickle=False) as saved:
    assert saved['logits'].shape[1] == 6
    assert saved['label'].min() == 0


def test_nothing_of_a_left_out_class_was_trained_on(run, tiny_data_dir):
  found, _, unknown = _whole('train', tiny_data_dir)
  seen = _read(run / 'seen.json')
  assert seen['images'] == sorted(found.canonical_ids[~unknown].tolist())
  assert not set(seen['images']) & set(found.canonical_ids[unknown].tolist())


def test_unknown_images_are_scored_against_known_ones(run, tiny_data_dir):
  found, names, unknown = _whole('test', tiny_data_dir)
  told = _read(run / 'novelty.json')
  assert told['left_out'] == list(LEFT_OUT)
  assert told['fitted_on']['split'] == 'validation'
  test = told['splits']['test']
  assert list(told['splits']) == ['test']
  assert test['known'] == (~unknown).sum()
  assert test['unknown'] == {name: (names == name).sum() for name in sorted(LEFT_OUT)}
  with np.load(run / 'novelty_test.npz', allow_pickle=False) as saved:
    given = dict(zip(saved['image_id'].tolist(), saved['name'].tolist(), strict=True))
    assert given == dict(zip(found.image_ids[unknown], names[unknown], strict=True))
    for key in ('energy', 'max_softmax', 'distance'):
      scores = np.concatenate([saved[f'known_{key}'], saved[f'unknown_{key}']])
      truth = np.arange(len(scores)) >= test['known']
      area = test['scores'][key]['all']['auroc']['value']
      assert area == pytest.approx(roc_auc_score(truth, scores))
      kept = ~truth | np.append(np.zeros(test['known'], bool), saved['name'] == 'df')
      area = test['scores'][key]['df']['auroc']['value']
      assert area == pytest.approx(roc_auc_score(truth[kept], scores[kept]))
  assert 'id="unknown"' in (run / 'report.html').read_text()
  assert 'do not belong to the data' not in (run / 'report.html').read_text()


def test_an_official_test_set_adds_its_own_unknown_class(run, tiny_data_dir, tmp_path):
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual', test=True)
  shutil.copytree(tiny_data_dir, tmp_path / 'data')
  build.prepare('isic2019', tmp_path / 'data', manual_dir, progress=False)
  experiment.evaluate(str(run), 'isic2019', str(tmp_path / 'data'), 'official_test')
  folder = run / 'external' / 'isic2019_official_test'
  truth = isic_fixture.truth_2019(18, first=1000, unknown=True)
  count = {
    name: sum(row[name] == '1.0' for row in truth) for name in (*isic_fixture.CLASSES, 'UNK')
  }
  test = _read(folder / 'novelty.json')['splits']['official_test']
  expected = {'vasc': count['VASC'], 'df': count['DF'], 'unknown': count['UNK']}
  assert test['unknown'] == {name: number for name, number in expected.items() if number}
  assert test['unknown']['unknown'] == 2
  assert test['known'] == 18 - sum(test['unknown'].values())
  assert _read(folder / 'novelty.json')['fitted_on']['split'] == 'validation'  # of the run itself
  assert _read(folder / 'data.json')['splits']['official_test']['images'] == test['known']


def test_an_unknown_class_and_too_many_are_refused_before_anything_is_written(
  tiny_config, tmp_path
):
  for names, told in (
    (('vascular',), r"'vascular' is no class of the data, whose classes are ak, bcc"),
    (('ak', 'bcc', 'bkl', 'df', 'mel', 'nv', 'scc'), r'leaves fewer than two of the classes'),
  ):
    tiny_config.data.leave_out_classes = names
    with pytest.raises(UserError, match=told):
      experiment.train(tiny_config, str(tmp_path / 'run'))
    assert not (tmp_path / 'run').exists()
