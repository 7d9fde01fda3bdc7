"""Predictions of a run or of --mode=predict become a table that the challenge's program takes."""

from __future__ import annotations

import io
import pathlib

import numpy as np
import pytest

from lesionjax.evaluation import official, score, submission
from lesionjax.evaluation.official import writing

HAM = ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')
ISIC = ('ak', 'bcc', 'bkl', 'df', 'mel', 'nv', 'scc', 'vasc')


def save(folder: pathlib.Path, class_names: tuple[str, ...], count: int = 30, **changes) -> None:
  rng = np.random.default_rng(0)
  arrays = {
    'image_id': np.array([f'ISIC_{number:07d}' for number in range(count)]),
    'group_id': np.arange(count).astype(str),
    'label': np.arange(count) % len(class_names),
    'class_names': np.array(class_names),
    'probabilities': rng.dirichlet(np.ones(len(class_names)), count).astype(np.float32),
  }
  buffer = io.BytesIO()
  np.savez(buffer, **(arrays | changes))
  (folder / 'predictions_test.npz').write_bytes(buffer.getvalue())


def test_a_run_is_written_and_scored(tmp_path, capsys):
  save(tmp_path, HAM)
  out, truth = str(tmp_path / 'submission.csv'), str(tmp_path / 'truth.csv')
  assert submission.main([str(tmp_path), f'--out={out}', f'--truth={truth}']) == 0
  lines = (tmp_path / 'submission.csv').read_text().splitlines()
  assert lines[0] == 'image,MEL,NV,BCC,AKIEC,BKL,DF,VASC'
  assert len(lines) == 31
  known = official.read_truth(truth)
  values = official.read_submission(out, known)
  with np.load(tmp_path / 'predictions_test.npz') as saved:
    order = [HAM.index(name.lower()) for name in known.categories]
    np.testing.assert_array_equal(values.astype(np.float32), saved['probabilities'][:, order])
    np.testing.assert_array_equal(known.positive.argmax(1), np.argsort(order)[saved['label']])
  assert score.main([out, truth]) == 0
  assert 'macro average' in capsys.readouterr().out


def test_ak_and_scc_add_up_to_akiec_of_2018(tmp_path):
  save(tmp_path, ISIC)
  out = tmp_path / 'out.csv'
  assert submission.main([str(tmp_path), f'--out={out}', '--challenge=2018']) == 0
  row = dict(zip(*(line.split(',') for line in out.read_text().splitlines()[:2]), strict=True))
  with np.load(tmp_path / 'predictions_test.npz') as saved:
    first = dict(zip(ISIC, saved['probabilities'][0].tolist(), strict=True))
  assert float(row['AKIEC']) == pytest.approx(first['ak'] + first['scc'], abs=1e-7)
  assert float(row['MEL']) == pytest.approx(first['mel'], abs=1e-7)


def test_2019_has_a_column_for_what_no_class_is(tmp_path):
  save(tmp_path, ISIC)
  out = tmp_path / 'out.csv'
  assert submission.main([str(tmp_path / 'predictions_test.npz'), f'--out={out}']) == 0
  header, *rows = out.read_text().splitlines()
  assert header == 'image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK'
  assert {row.rsplit(',', 1)[1] for row in rows} == {'0.0'}


def test_what_predict_wrote_is_named_by_its_files(tmp_path):
  header = ','.join(['image', *(f'p_{name}' for name in HAM), 'label', 'error'])
  cells = ','.join(['0.1'] * 6 + ['0.4'])
  table = f'{header}\nsub/ISIC_0000001.JPG,{cells},vasc,\nISIC_0000002.png,{cells},vasc,\n'
  (tmp_path / 'predictions.csv').write_text(table)
  out = tmp_path / 'out.csv'
  assert submission.main([str(tmp_path), f'--out={out}']) == 0
  assert out.read_text().splitlines()[1] == 'ISIC_0000001,0.1,0.1,0.1,0.1,0.1,0.1,0.4'
  assert submission.main([str(tmp_path), f'--out={out}', f'--truth={tmp_path / "t.csv"}']) == 2


def test_a_file_that_could_not_be_predicted_is_named(tmp_path, capsys):
  header = ','.join(['image', *(f'p_{name}' for name in HAM), 'error'])
  table = f'{header}\na.jpg{",0.1" * 7},\nbad.jpg{"," * 8}broken\n'
  (tmp_path / 'predictions.csv').write_text(table)
  assert submission.main([str(tmp_path), f'--out={tmp_path / "out.csv"}']) == 2
  assert '1 of 2 images have no prediction, such as bad' in capsys.readouterr().err
  assert not (tmp_path / 'out.csv').exists()


@pytest.mark.parametrize(
  ('class_names', 'arguments', 'expected'),
  [
    (('benign', 'malignant'), [], 'are those of no challenge'),
    (('benign', 'malignant'), ['--challenge=2018'], 'class benign has no column there'),
    (HAM, ['--challenge=2019'], 'class akiec has no column there'),
    (HAM[:-1], ['--challenge=2018'], 'no class fills VASC'),
    (HAM, ['--split=validation'], 'holds predictions_test.npz'),
  ],
)
def test_what_fits_no_challenge_is_refused(class_names, arguments, expected, tmp_path, capsys):
  save(tmp_path, class_names)
  out = tmp_path / 'out.csv'
  assert submission.main([str(tmp_path), f'--out={out}', *arguments]) == 2
  assert expected in capsys.readouterr().err
  assert not out.exists()


def test_odd_predictions_are_refused(tmp_path, capsys):
  save(tmp_path, HAM, probabilities=np.full((30, 7), np.nan))
  assert submission.main([str(tmp_path), f'--out={tmp_path / "out.csv"}']) == 2
  assert '30 of 30 images have no probabilities' in capsys.readouterr().err
  save(tmp_path, HAM, image_id=np.array(['twice'] * 30))
  assert submission.main([str(tmp_path), f'--out={tmp_path / "out.csv"}']) == 2
  assert 'twice occurs twice' in capsys.readouterr().err


def test_columns_of_every_challenge_have_their_own_classes():
  for year, categories in writing.CATEGORIES.items():
    assert writing.challenge_of(categories[::-1]) == year
    np.testing.assert_array_equal(writing.places(categories, year), np.arange(len(categories)))
