"""A finished run on other data: in another place, with an official test set."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from data_builders import build
from data_builders.errors import UserError
from lesionjax import experiment
from tests.data_builders import isic_fixture


def test_evaluating_another_data_set_in_another_place(run, tiny_data_dir, tmp_path):
  shutil.copytree(tiny_data_dir, tmp_path / 'moved')
  moved = str(tmp_path / 'moved')
  report = experiment.evaluate(str(run), 'synthetic_dermoscopy/tiny', data_dir=moved)
  assert report.endswith('external/synthetic_dermoscopy_tiny/report.html')
  ours = json.loads((run / 'metrics.json').read_text())['test']['accuracy']
  there = run / 'external' / 'synthetic_dermoscopy_tiny' / 'metrics.json'
  assert json.loads(there.read_text())['test']['accuracy'] == ours


def test_an_official_test_set_scores_what_has_a_class(run, tiny_data_dir, tmp_path, capsys):
  # The classes of the synthetic run are those of ISIC 2019; 2 of the 18 test images are of none.
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual', test=True)
  shutil.copytree(tiny_data_dir, tmp_path / 'data')
  build.prepare('isic2019', tmp_path / 'data', manual_dir, progress=False)
  report = experiment.evaluate(str(run), 'isic2019', str(tmp_path / 'data'), 'official_test')
  assert '2 of the 18 images of isic2019/grouped (official_test)' in capsys.readouterr().out
  folder = run / 'external' / 'isic2019_official_test'
  assert report == str(folder / 'report.html')
  with np.load(folder / 'predictions_official_test.npz', allow_pickle=False) as saved:
    names = [saved['class_names'][label] for label in saved['label']]
    found = dict(zip(saved['image_id'].tolist(), names, strict=True))
  truth = isic_fixture.truth_2019(18, first=1000, unknown=True)
  assert found == {
    row['image']: next(c for c in isic_fixture.CLASSES if row[c] == '1.0').lower()
    for row in truth
    if row['UNK'] != '1.0'
  }
  with pytest.raises(UserError, match=r"preprocessing 'stretch24', the run .* with ''"):
    experiment.evaluate(str(run), 'isic2019/grouped-stretch24', str(tmp_path / 'data'))
