"""Scores of hair removal against SciPy and numbers worked out by hand."""

from __future__ import annotations

import json
import pathlib
import sys
import zipfile

import cv2
import numpy as np
import pytest
from scipy import ndimage

from benchmarks import common, hair, hair_scores
from data_builders.cleaning import encoded
from data_builders.errors import UserError


def test_detection_by_hand():
  truth = np.zeros((5, 8), bool)
  truth[2, 1:5] = True  # four pixels
  found = np.zeros((5, 8), bool)
  found[2, 3:7] = True  # two right, one beside, one two away
  found[0, 0] = True  # two rows away
  exact = hair_scores.detection(found, truth)
  assert exact == {'precision': 2 / 5, 'recall': 2 / 4, 'f1': pytest.approx(4 / 9)}
  near = hair_scores.detection(found, truth, tolerance_px=1)
  assert near['precision'] == 3 / 5
  assert near['recall'] == 3 / 4
  nothing = hair_scores.detection(np.zeros_like(truth), truth)
  assert nothing == {'precision': 1.0, 'recall': 0.0, 'f1': 0.0}


def test_psnr_by_hand():
  image, twin = np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), 110, np.uint8)
  where = np.eye(4, dtype=bool)
  image[~where] = 0
  assert hair_scores.psnr_db(image, twin, where) == pytest.approx(20 * np.log10(255 / 10))
  assert hair_scores.psnr_db(twin, twin, where) == np.inf


def test_ssim_is_the_published_one():
  rng = np.random.default_rng(0)
  x = cv2.GaussianBlur(rng.integers(0, 256, (40, 50), np.uint8), (0, 0), 1)
  y = np.clip(x + rng.normal(0, 15, x.shape), 0, 255).astype(np.uint8)

  def smooth(plane: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(plane, 1.5, truncate=3.5, mode='reflect')

  a, b = x.astype(float), y.astype(float)
  means = smooth(a), smooth(b)
  variances = smooth(a * a) - means[0] ** 2, smooth(b * b) - means[1] ** 2
  shared = smooth(a * b) - means[0] * means[1]
  one, two = 6.5025, 58.5225
  expected = (2 * means[0] * means[1] + one) * (2 * shared + two)
  expected /= (means[0] ** 2 + means[1] ** 2 + one) * (sum(variances) + two)
  np.testing.assert_allclose(hair_scores.ssim_map(x, y), expected, atol=1e-9)
  np.testing.assert_allclose(hair_scores.ssim_map(x, x), 1)
  flat = hair_scores.ssim_map(np.full((20, 20), 50, np.uint8), np.full((20, 20), 100, np.uint8))
  np.testing.assert_allclose(flat, (2 * 50 * 100 + one) / (50**2 + 100**2 + one))


def test_it_scores_the_drawn_set(tiny_data_dir, tmp_path, monkeypatch, capsys):
  line = tmp_path / 'hair.jsonl'
  arguments = [f'--data_dir={tiny_data_dir}', '--data=synthetic_dermoscopy/tiny', f'--json={line}']
  monkeypatch.setattr(sys, 'argv', ['hair', *arguments])
  common.run_main(hair.main)
  printed = capsys.readouterr()
  result = json.loads(printed.out)
  assert json.loads(line.read_text()) == result
  assert 'psnr_db_inside_after' in printed.err
  default, published = (result['scores'][kind] for kind in ('default', 'published'))
  hairy, bald = default['recall']['images'], default['changed_share']['images']
  assert hairy + bald == result['images']
  assert default['precision']['mean'] > published['precision']['mean']
  assert default['changed_share']['mean'] < published['changed_share']['mean']
  assert default['psnr_db_inside_before'] == published['psnr_db_inside_before']
  assert default['psnr_db_inside_after']['mean'] > default['psnr_db_inside_before']['mean'] + 3
  for value in default.values():
    assert value['p10'] <= value['p50'] <= value['p90']


def test_without_the_data_it_says_how_to_build_them(tmp_path):
  with pytest.raises(UserError, match=r'data_builders\.build synthetic_dermoscopy --data_dir='):
    hair.measure(str(tmp_path), 'synthetic_dermoscopy', 'test')


def test_sheets_show_every_photograph(tmp_path, monkeypatch, capsys):
  archive = tmp_path / 'images.zip'
  with zipfile.ZipFile(archive, 'w') as file:
    for number in range(5):
      image = np.full((60, 80, 3), 200, np.uint8)
      cv2.line(image, (5, 5), (70, 50), (30, 20, 10), 1)
      file.writestr(f'folder/image_{number}.jpg', encoded.encode_jpeg(image))
    file.writestr('readme.txt', 'no photograph')
  out = tmp_path / 'sheets'
  monkeypatch.setattr(sys, 'argv', ['hair', f'--sheet={archive}', f'--out={out}', '--size=64'])
  common.run_main(hair.main)
  sheets = json.loads(capsys.readouterr().out)['sheets']
  shown = [encoded.decode_rgb(pathlib.Path(path).read_bytes()) for path in sheets]
  assert [sheet.shape for sheet in shown] == [
    (4 * (360 + 22), 4 * 480, 3),
    (360 + 22, 4 * 480, 3),
  ]
  green = np.all(shown[0] == (0, 255, 0), axis=2)
  assert green[:, 480:960].any()
  assert not green[:, :480].any()


@pytest.mark.parametrize('content', [None, b'no zip'])
def test_an_archive_that_is_none_is_told(tmp_path, content, monkeypatch):
  path = tmp_path / 'images.zip'
  if content:
    path.write_bytes(content)
  monkeypatch.setattr(sys, 'argv', ['hair', f'--sheet={path}', f'--out={tmp_path}'])
  with pytest.raises(UserError, match=r'is no zip archive of JPEGs'):
    hair.main()
