"""Figures of layers, from files and from the confident errors of a run."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from lesionjax.predicting import chosen, layers
from lesionjax.report.run_files import Predictions


def _call(capsys, *arguments):
  status = layers.main([str(argument) for argument in arguments])
  return status, capsys.readouterr()


@pytest.fixture
def photographs(tmp_path):
  folder = tmp_path / 'photographs'
  folder.mkdir()
  rng = np.random.default_rng(0)
  for name in ('a', 'b <i>$x$', 'c'):
    cv2.imwrite(str(folder / f'{name}.png'), rng.integers(0, 256, (20, 30, 3)).astype(np.uint8))
  return folder


def test_the_maps_are_listed(run, capsys):
  status, said = _call(capsys, run, '--list')
  assert status == 0
  lines = said.out.splitlines()
  assert lines[0].split() == ['block1_conv1', '16', 'x', '16', 'x', '8']
  assert lines[-1].split() == ['last_map', '8', 'x', '8', 'x', '8']
  assert not any('Dropout' in line for line in lines)


def test_figures_of_files_for_two_runs(run, photographs, tmp_path, capsys):
  out = tmp_path / 'out'
  (photographs / '1.jpg').write_bytes(b'')
  status, said = _call(
    capsys, run, f'--images={photographs}', '--count=3', f'--beside={run}', f'--out={out}',
    '--channels=3', '--method=gradcam++',
  )  # fmt: skip
  assert status == 0, said.err
  assert f'Left out: Image {photographs / "1.jpg"} cannot be read' in said.out
  names = ['activations.png', 'channels_00.png', 'channels_01.png', 'gradcam.png']  # of 0 and 2
  assert sorted(path.name for path in out.iterdir()) == names
  assert set(said.out.split()) >= {str(out / name) for name in names}
  for name in names:
    picture = cv2.imread(str(out / name))
    assert picture is not None
    assert picture.shape[0] > 200


def test_figures_of_confident_errors(run, tmp_path, capsys):
  status, said = _call(capsys, run, '--errors=2', f'--beside={run}', f'--out={tmp_path / "out"}')
  assert status == 0, said.err
  assert (tmp_path / 'out' / 'gradcam.png').exists()
  assert (tmp_path / 'out' / 'activations.png').exists()


def test_errors_are_counted_and_the_most_confident_first():
  probabilities = np.array([[0.6, 0.4], [0.05, 0.95], [0.2, 0.8], [0.9, 0.1], [0.92, 0.08]])
  labels = np.array([1, 0, 1, 0, -1])
  ids = np.array(list('abcde'))
  predictions = Predictions(ids, ids, labels, probabilities, ('x', 'y'))
  rows, told = chosen.choose(predictions, 'errors', 5)
  assert rows.tolist() == [1, 0]
  assert told.startswith('2 errors among 4 images, 1 of them')
  assert chosen.choose(predictions, 'hits', 1)[0].tolist() == [3]


def test_strongest_channels_vary_most():
  maps = np.zeros((2, 3, 3, 4))
  maps[0, 0, 0] = [1, 3, 0, 2]
  assert layers.strongest(maps, 2) == [1, 3]


@pytest.mark.parametrize(
  ('arguments', 'told'),
  [
    (['--errors=2'], '--out is missing'),
    (['--out=o'], 'either --images'),
    (['--out=o', '--errors=2', '--images=i'], 'either --images'),
    (['--out=o', '--errors=2', '--layer=block3'], "unknown feature map 'block3'"),
    (['--out=o', '--errors=2', '--split=exam'], "no predictions of the split 'exam'"),
    (['--out=o', '--errors=2', '--channels=0'], 'at least 1'),
    (['--out=o', '--images=nowhere'], 'nowhere does not exist'),
  ],
)
def test_mistakes_are_told_in_a_sentence(run, arguments, told, capsys):
  status, said = _call(capsys, run, *arguments)
  assert status == 1
  assert said.err.startswith('Error: ')
  assert told in said.err
  assert said.err.count('\n') == 1


def test_a_run_that_wants_masks_takes_records_only(run, photographs, tmp_path, capsys):
  copy = tmp_path / 'crops'
  shutil.copytree(run, copy)
  config = json.loads((copy / 'config.json').read_text())
  config['data']['lesion'] = 'crop'
  (copy / 'config.json').write_text(json.dumps(config))
  status, said = _call(capsys, copy, f'--images={photographs}', f'--out={tmp_path / "out"}')
  assert status == 1
  assert 'records of its data' in said.err
