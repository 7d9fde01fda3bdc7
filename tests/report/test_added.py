"""The pages show what the files say was added, and nothing where nothing was."""

from __future__ import annotations

import base64
import json
import shutil

import cv2
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.report import added, figures
from lesionjax.report.page import write_report
from lesionjax.studies.comparing import compare
from tests.report import fake_added, fake_comparison, fake_run
from tests.report.html_page import Page

NAMES = ('ak', 'bcc', 'df')


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  return fake_run.write_fake_run(tmp_path_factory.mktemp('runs') / 'run', NAMES, 60, 2, 10)


@pytest.fixture
def run_dir(finished, tmp_path, monkeypatch):
  """A copy; its figures are not drawn."""
  blank = figures.Encoded(b'<svg xmlns="http://www.w3.org/2000/svg"/>', b'')
  monkeypatch.setattr(figures, 'encode', lambda plot: blank)
  return shutil.copytree(finished, tmp_path / 'run')


def page_of(run_dir):
  return Page(write_report(run_dir).read_text())


def sources(page, words):
  """Sources of the images whose alt text has the words."""
  pictures = [s for s in page.sources if s.startswith('data:image')]
  assert len(pictures) == len(page.alts)
  return [s for s, alt in zip(pictures, page.alts, strict=True) if words in alt]


def pixels(source):
  data = np.frombuffer(base64.b64decode(source.partition(',')[2]), np.uint8)
  return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def test_a_run_that_adds_nothing_has_no_section(run_dir):
  page = page_of(run_dir)
  assert 'added' not in page.ids
  assert 'What was added' not in page.text
  assert not added.read(run_dir)


def test_two_maps_on_the_same_axes(run_dir):
  arrays = fake_added.write_map(run_dir, NAMES)
  with figures.style():
    before, after = added.plots(added.read(run_dir))
  limits = [(a.get_xlim(), a.get_ylim()) for p in (before, after) for a in p.figure.axes]
  assert limits[0] == limits[1]
  assert 'ak 42, bcc 30, df 30' in before.alt
  assert 'ak 42 and 0 added, bcc 30 and 12 added, df 30 and 12 added' in after.alt
  assert (before.caption, after.caption) == (
    '102 training images', 'the same, and 24 added rows (hollow)',
  )  # fmt: skip

  def points(plot):
    drawn = [c for axes in plot.figure.axes for c in axes.collections]
    return sorted(map(tuple, np.concatenate([c.get_offsets() for c in drawn]).tolist()))

  assert points(after) == sorted(map(tuple, arrays['coordinates'].tolist()))
  assert points(before) == sorted(map(tuple, arrays['coordinates'][~arrays['added']].tolist()))
  page = page_of(run_dir)
  assert 'ak 42, bcc 30 + 4,612, df 30 + 4,612' in page.text
  assert 'one of the 5 nearest of its class' in page.text
  assert {'features_before.svg', 'features_after.svg'} <= {
    path.name for path in (run_dir / 'figures').iterdir()
  }


def test_ghosts_stand_between_their_parents(run_dir):
  arrays = fake_added.write_between(run_dir, NAMES)
  page = page_of(run_dir)
  assert 'ADASYN on pixels' in page.text
  assert page.text.count('25 %') == 4
  (source,) = sources(page, 'bcc: training image one_0, the image added 25 % of the way, two_0')
  strip = pixels(source)
  assert strip.shape == (64, 3 * 64 + 2 * 6, 3)  # enlarged twice, with gaps
  for left, key in ((0, 'first'), (70, 'image'), (140, 'second')):
    shown = strip[:, left : left + 64].astype(float)[::2, ::2].mean()
    assert shown == pytest.approx(arrays[key][0].mean(), abs=3)


def test_generated_images_stand_beside_real_ones(run_dir):
  fake_added.write_generated(run_dir, NAMES)
  page = page_of(run_dir)
  assert 'bcc 40 + 777' in page.text
  (made,) = sources(page, 'bcc: 3 generated training images')
  (real,) = sources(page, 'bcc: 4 real training images')
  assert pixels(made)[:, :64].mean() == pytest.approx(190, abs=2)
  assert pixels(real).shape[1] == 4 * 64 + 3 * 6
  assert not sources(page, 'ak: ')  # of which none was generated


def test_files_that_do_not_fit_are_told(run_dir):
  arrays = fake_added.write_map(run_dir, NAMES)
  np.savez(run_dir / 'resampled.npz', **{**arrays, 'label': arrays['label'] + 1})
  with pytest.raises(UserError, match=r'resampled\.npz holds arrays of different lengths or unkno'):
    write_report(run_dir)
  np.savez(run_dir / 'resampled.npz', space='features')
  with pytest.raises(UserError, match=r'resampled\.npz cannot be read .* evaluate the run again'):
    write_report(run_dir)


def test_a_comparison_gathers_them_and_recall_by_strategy(tmp_path, monkeypatch):
  blank = figures.Encoded(b'<svg xmlns="http://www.w3.org/2000/svg"/>', b'')
  monkeypatch.setattr(figures, 'encode', lambda plot: blank)
  names = [f'{name}_seed{seed}' for name in ('none', 'smote', 'pixels', 'cgan') for seed in (1, 2)]
  folder = fake_comparison.write_classifiers(tmp_path / 'runs', dict.fromkeys(names, 1.0))
  classes = fake_comparison.CLASSES
  compare(str(folder), 'none')
  assert 'added' not in Page((folder / 'compare.html').read_text()).ids
  fake_added.write_map(folder / 'smote_seed1', classes)
  fake_added.write_map(folder / 'smote_seed2', classes, seed=1)
  fake_added.write_between(folder / 'pixels_seed2', classes)
  fake_added.write_generated(folder / 'cgan_seed1', classes)
  compare(str(folder), 'none')
  found = json.loads((folder / 'compare.json').read_text())
  assert found['pictures'] == {
    'smote': 'smote_seed1', 'pixels': 'pixels_seed2', 'cgan': 'cgan_seed1',
  }  # fmt: skip
  page = Page((folder / 'compare.html').read_text())
  assert 'What the strategies add' in page.text
  assert 'smote: before SMOTE' in page.text
  assert 'pixels: ADASYN on pixels' in page.text
  assert 'cgan: generated images' in page.text
  recall = [run['metrics']['recall/mel']['value'] for run in found['runs']]
  told = figures.describe(
    [run['name'] for run in found['runs']], [f'{value:.3f}' for value in recall]
  )
  assert f'Recall, mel of every run with 95 % intervals: {told}.' in page.alts
  assert any(alt.startswith('Macro F1 of every run') for alt in page.alts)
