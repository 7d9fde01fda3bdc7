"""Calibration and unknown classes of a run in the rows of docs/results."""

from __future__ import annotations

import json

from lesionjax.report import result_extras, results
from tests.report.fake_run import write_fake_run
from tests.report.test_results import CLAIMS

HALF = {'value': 0.5, 'low': 0.4, 'high': 0.6, 'n': 7, 'reason': ''}
KEPT = {'value': 0.5, 'low': 0.4, 'high': 0.6, 'n': 7}
UNDEFINED = {'value': None, 'low': None, 'high': None, 'n': 0, 'reason': 'no image'}
CALIBRATION = {
  'splits': {
    'test': {
      'before': {'values': {'ece': HALF, 'brier': HALF, 'log_loss': HALF}},
      'after': {'values': {'ece': UNDEFINED, 'brier': HALF}},
    }
  }
}
NOVELTY = {
  'splits': {
    'test': {'scores': {'energy': {'all': {'auroc': HALF, 'fpr_at_95': HALF}}, 'distance': {}}}
  }
}


def test_names_and_values():
  assert result_extras.extras(CALIBRATION, NOVELTY, {}) == {
    'test': {
      'ece': KEPT,
      'brier': KEPT,
      'ece_calibrated': {'value': None, 'low': None, 'high': None, 'n': 0},
      'brier_calibrated': KEPT,
      'unknown_auc/energy': KEPT,
      'unknown_fpr_at_95/energy': KEPT,
    }
  }
  assert result_extras.extras({}, {}, {}) == {}


def test_skins_are_named():
  rates = {'sensitivity': HALF, 'specificity': UNDEFINED}
  tones = [{'tone': 'A', **rates}, {'tone': 'R', **rates}]
  found = result_extras.extras(
    {}, {}, {'split': 'test', 'original': rates, 'own': rates, 'tones': tones}
  )
  skins = ('photographs', 'own', 'A', 'R')
  assert set(found['test']) == {f'toned_{s}/{t}' for t in skins for s in rates}
  assert found['test']['toned_sensitivity/R'] == KEPT


def test_a_row_holds_them_beside_the_metrics(tmp_path):
  run = write_fake_run(tmp_path / 'run', images=60, resamples=10, epochs=1)
  (run / 'novelty.json').write_text(json.dumps(NOVELTY))
  folder = tmp_path / 'docs' / 'results'
  folder.mkdir(parents=True)
  rows = {'only': {'label': 'Only', 'claimed': {}, 'show': ['unknown_auc/energy', 'accuracy']}}
  claim = {**CLAIMS['text'], 'dataset': 'synthetic_dermoscopy', 'rows': rows}
  (folder / 'claims.json').write_text(
    json.dumps({'text': claim | {'headline': ['only', 'accuracy']}})
  )
  path = results.add(run, tmp_path, 'text')
  metrics = json.loads(path.read_text())['metrics']
  assert metrics['test']['unknown_auc/energy'] == KEPT
  assert metrics['test']['accuracy']['value'] is not None
  assert 'unknown_auc/energy' not in metrics['validation']
