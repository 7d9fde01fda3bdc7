"""Runs to predict with: the finished tiny run, and copies of it that were evaluated further."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.predicting import messy


@pytest.fixture
def photographs(tmp_path):
  """Returns a folder of five JPEGs."""
  folder = tmp_path / 'photographs'
  folder.mkdir()
  for seed in range(5):
    (folder / f'{seed}.jpg').write_bytes(messy.encoded('JPEG', seed))
  return folder


@pytest.fixture
def bare_run(run, tmp_path):
  """Returns a copy of the run as of an older evaluation: without what is fitted on validation."""
  copy = tmp_path / 'bare'
  shutil.copytree(run, copy)
  for name in ('thresholds.json', 'calibration.json', 'conformal.json'):
    (copy / name).unlink(missing_ok=True)
  return copy


@pytest.fixture
def fitted_run(bare_run, tmp_path):
  """Returns a copy of the run with thresholds, temperature and prediction sets told by hand."""
  copy = tmp_path / 'fitted'
  shutil.copytree(bare_run, copy)
  names = json.loads((copy / 'data.json').read_text())['class_names']
  (copy / 'thresholds.json').write_text(
    json.dumps(
      {
        'positive': {'name': 'malignant'},
        'fitted': {'problem': None, 'points': {'sensitivity_90': {'threshold': 0.0}}},
      }
    )
  )
  (copy / 'calibration.json').write_text(json.dumps({'temperature': 2.0}))
  classes = {name: {'threshold': None if name == 'mel' else 0.5, 'cases': 20} for name in names}
  (copy / 'conformal.json').write_text(json.dumps({'coverage': 0.9, 'classes': classes}))
  return copy
