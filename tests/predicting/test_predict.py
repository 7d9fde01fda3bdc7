"""Whole predictions: what is written, from which runs, and what becomes of bad files."""

from __future__ import annotations

import csv
import json
import os
import pathlib
import re
import shutil

import cv2
import numpy as np
import pytest

import lesionjax
from data_builders.errors import UserError
from lesionjax.predicting import page
from lesionjax.predicting.predict import predict
from lesionjax.predicting.rows import Row
from lesionjax.runs.inference import softmax
from tests.predicting import messy


def table(out: pathlib.Path) -> dict[str, dict[str, str]]:
  with open(out / 'predictions.csv', newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  found = {row['image']: row for row in rows}
  assert len(found) == len(rows)
  return found


def shares(row: dict[str, str]) -> np.ndarray:
  return np.array([float(value) for name, value in row.items() if name.startswith('p_')])


def test_a_folder_of_all_sorts_gives_a_row_each(run, tmp_path, capsys):
  folder, out = tmp_path / 'in', tmp_path / 'out'
  folder.mkdir()
  messy.fill(folder)
  html = pathlib.Path(predict(str(run), str(folder), str(out)))
  rows = table(out)
  good = len(messy.GOOD) + 1  # and the one whose name is no UTF-8
  bad = len(messy.BAD) + len(messy.NO_FILES)
  assert f'{good} images predicted, {bad} failed' in capsys.readouterr().out
  assert {name for name, row in rows.items() if row['error']} == {*messy.BAD, *messy.NO_FILES}
  for row in rows.values():
    assert bool(row['error']) != bool(row['label'])
    if row['label']:
      assert shares(row).sum() == pytest.approx(1, abs=1e-5)
  assert {'./=1+1.jpg', './@sum.jpg', 'latin\\xe9.jpg', 'new\\nline.jpg'} <= set(rows)
  cells = [cell for row in rows.values() for cell in row.values()]
  assert not any(cell.startswith(('=', '+', '-', '@')) for cell in cells)
  # Two of one stem have a picture each.
  assert len(list((out / 'overlays').iterdir())) == good
  text = html.read_text()
  assert not re.search(r'<script|<img src=x', text)
  assert '&lt;script&gt;alert(1)' in text
  assert not list(out.glob('.*.tmp'))


def test_probabilities_are_those_of_the_loaded_run(bare_run, photographs, tmp_path):
  predict(str(bare_run), str(photographs), str(tmp_path / 'out'), overlays=False)
  predict(str(bare_run), str(photographs), str(tmp_path / 'drawn'), overlays=True)
  paths = sorted(photographs.iterdir())
  expected = lesionjax.load(str(bare_run)).predict(paths).probabilities
  for out in ('out', 'drawn'):
    rows = table(tmp_path / out)
    for path, share in zip(paths, expected, strict=True):
      np.testing.assert_allclose(shares(rows[path.name]), share, atol=2e-6)
  assert not (tmp_path / 'out' / 'overlays').exists()


def test_flag_set_and_referral_follow_from_what_the_run_saved(fitted_run, photographs, tmp_path):
  predict(str(fitted_run), str(photographs), str(tmp_path / 'out'), overlays=False)
  loaded = lesionjax.load(str(fitted_run))
  found = loaded.predict(sorted(photographs.iterdir()))
  cool = softmax(found.logits / 2)
  malignant = [n in ('ak', 'bcc', 'mel', 'scc') for n in loaded.class_names]
  rows = list(table(tmp_path / 'out').values())
  for row, raw, calibrated in zip(rows, found.probabilities, cool, strict=True):
    np.testing.assert_allclose(shares(row), calibrated, atol=2e-6)
    assert float(row['malignant_score']) == pytest.approx(raw[malignant].sum(), abs=2e-6)
    assert row['flag'] == row['refer'] == 'yes'
    assert 'malignant score reaches 0.0000' in row['why']
    assert row['set'] == 'mel'  # nothing reaches .5, and of mel too little is known
  about = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
  assert (about['threshold'], about['coverage'], about['temperatures']) == (0.0, 0.9, [2.0])
  assert 'Too few validation images of mel' in (tmp_path / 'out' / 'predict.html').read_text()


def test_what_was_not_fitted_is_said(bare_run, photographs, tmp_path):
  predict(str(bare_run), str(photographs), str(tmp_path / 'out'), overlays=False)
  for row in table(tmp_path / 'out').values():
    assert row['flag'] == row['set'] == row['refer'] == ''
  text = (tmp_path / 'out' / 'predict.html').read_text()
  for name in ('thresholds.json', 'calibration.json', 'conformal.json'):
    assert f'has no {name}' in text


def test_several_runs_are_averaged_and_fitted_anew(bare_run, photographs, tmp_path):
  """A run and its copy say the same, with a threshold and sets of its own validation."""
  with pytest.raises(UserError, match='names a run twice'):
    predict(f'{bare_run},{bare_run}/', str(photographs), str(tmp_path / 'out'))
  twin = tmp_path / 'twin'
  shutil.copytree(bare_run, twin)
  predict(f'{bare_run},{twin}', str(photographs), str(tmp_path / 'out'), overlays=False)
  expected = lesionjax.load(str(bare_run)).predict(sorted(photographs.iterdir())).probabilities
  about = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
  for row, share in zip(table(tmp_path / 'out').values(), expected, strict=True):
    np.testing.assert_allclose(shares(row), share, atol=2e-6)
  with np.load(bare_run / 'predictions_validation.npz') as saved:
    names = saved['class_names'].tolist()
    malignant = [n in ('ak', 'bcc', 'mel', 'scc') for n in names]
    scores = saved['probabilities'][:, malignant].sum(1)
    truth = np.isin(saved['label'], np.flatnonzero(malignant))
  assert (scores >= about['threshold'] - 1e-6)[truth].mean() >= 0.9


def test_what_shows_nothing_is_referred(bare_run, photographs, tmp_path):
  (photographs / 'black.png').write_bytes(
    cv2.imencode('.png', np.zeros((80, 90, 3), np.uint8))[1].tobytes()
  )
  predict(str(bare_run), str(photographs), str(tmp_path / 'out'), overlays=False)
  rows = table(tmp_path / 'out')
  assert (rows['black.png']['refer'], rows['black.png']['why']) == ('yes', 'shows one colour only')
  assert rows['0.jpg']['refer'] == ''  # nothing was fitted that could say


def test_an_earlier_prediction_is_replaced_and_never_predicted(
  bare_run, photographs, tmp_path, capsys
):
  inside = photographs / 'results'
  for folder in (str(photographs), str(photographs / '**' / '*.jpg')):
    predict(str(bare_run), folder, str(inside))
    predict(str(bare_run), folder, str(tmp_path / 'out'), overlays=False)
    assert set(table(tmp_path / 'out')) == {f'{seed}.jpg' for seed in range(5)}
  assert f'{inside} holds an earlier prediction' in capsys.readouterr().out


def test_views_are_averaged(bare_run, photographs, tmp_path):
  image = str(photographs / '0.jpg')
  predict(str(bare_run), image, str(tmp_path / 'out'), overlays=False, tta='flips')
  loaded = lesionjax.load(str(bare_run))
  seen = loaded.seen(image)
  views = [seen, seen[:, ::-1], seen[::-1], seen[::-1, ::-1]]
  expected = softmax(loaded.look(iter(views), 4)['logits']).mean(0)
  (row,) = table(tmp_path / 'out').values()
  np.testing.assert_allclose(shares(row), expected, atol=2e-6)
  with pytest.raises(UserError, match='--tta=turns'):
    predict(str(bare_run), str(photographs), str(tmp_path / 'out'), tta='turns')


def test_a_run_that_looks_at_lesions_is_told_where_they_are(run, segmenter, photographs, tmp_path):
  copy = tmp_path / 'crops'
  shutil.copytree(run, copy)
  config = json.loads((copy / 'config.json').read_text())
  config['data']['lesion'] = 'crop'
  (copy / 'config.json').write_text(json.dumps(config))
  predict(str(copy), str(photographs), str(tmp_path / 'otsu'), overlays=False)
  about = json.loads((tmp_path / 'otsu' / 'predictions.json').read_text())
  assert "The network sees the lesion alone, which Otsu's threshold finds." in about['notes']
  predict(str(copy), str(photographs), str(tmp_path / 'net'), segmenter=str(segmenter))
  about = json.loads((tmp_path / 'net' / 'predictions.json').read_text())
  assert about['outline'] == f'the segmenter {segmenter}'
  whole = lesionjax.load(str(run)).predict(sorted(photographs.iterdir())).probabilities
  first = next(iter(table(tmp_path / 'otsu').values()))
  assert not np.allclose(shares(first), whole[0], atol=1e-4)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'workdir': 'nowhere'}, 'is not a run: it has no config.json'),
    ({'workdir': ''}, 'needs --workdir=RUN'),
    ({'images': 'nowhere'}, 'does not exist'),
    ({'images': ''}, '--images is missing'),
    ({'images': '*.nothing'}, 'no image lies there'),
    ({'images': 'gs://bucket/a.jpg'}, 'must lie on this machine'),
  ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(
  change, message, run, photographs, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  given = {'workdir': str(run), 'images': str(photographs), 'out': 'out'} | change
  with pytest.raises(UserError, match=message):
    predict(**given)
  assert not os.path.exists('out')


def test_a_run_that_was_not_evaluated_or_is_no_classifier_is_refused(
  run, segmenter, photographs, tmp_path
):
  bare = tmp_path / 'unmeasured'
  shutil.copytree(run, bare)
  (bare / 'metrics.json').unlink()
  with pytest.raises(UserError, match='has not been evaluated'):
    predict(str(bare), str(photographs), str(tmp_path / 'out'))
  with pytest.raises(UserError, match="is a run of task 'segment'"):
    predict(str(segmenter), str(photographs), str(tmp_path / 'out'))


def test_where_nothing_could_be_predicted_the_status_says_so_and_the_table_why(run, tmp_path):
  (tmp_path / 'bad.jpg').write_bytes(b'')
  with pytest.raises(UserError, match=r'None of 1 images .* bad\.jpg, which is empty'):
    predict(str(run), str(tmp_path / 'bad.jpg'), str(tmp_path / 'out'))
  assert table(tmp_path / 'out')['bad.jpg']['error'] == 'is empty (0 bytes)'
  assert 'No image could be predicted' in (tmp_path / 'out' / 'predict.html').read_text()


def test_a_second_prediction_replaces_the_first(run, photographs, tmp_path):
  """Results within the folder of the images are none of them."""
  out = photographs / 'out'
  predict(str(run), str(photographs), str(out))
  (out / 'overlays' / 'mine.jpg').write_bytes(b'mine')
  (photographs / '0.jpg').unlink()
  predict(str(run), str(photographs), str(out))
  names = {path.name for path in (out / 'overlays').iterdir()}
  assert names == {'mine.jpg', *(f'{place:06d}_{place + 1}.jpg' for place in range(4))}
  assert len(table(out)) == 4


def test_the_page_shows_the_first_and_counts_the_rest():
  summary = page.Summary()
  for index in range(1000):
    why = 'because' if index % 3 == 0 else ''
    shown = np.array([0.5, 0.5])
    summary.add(Row(index, f'{index}', shown, 'a', (index % 100) / 100, bool(why), ('a',), why))
  rows = summary.first()
  assert (summary.predicted, summary.referred, len(rows)) == (1000, 334, page.SHOWN)
  assert all(row.why for row in rows)
  assert [row.malignant for row in rows] == sorted((r.malignant for r in rows), reverse=True)
  assert len(summary._first) == page.SHOWN
