"""What the input benchmark does besides timing."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from benchmarks import common, input_images, input_peer, input_pipeline
from lesionjax.data.augment import AugmentOptions
from lesionjax.data.datasets import open_split
from lesionjax.data.decode import jpeg_size
from lesionjax.data.warp import compose_inverse


@pytest.mark.skipif(importlib.util.find_spec('torch') is not None, reason='PyTorch is installed')
def test_without_pytorch_it_says_how_to_get_it(monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', ['input_pipeline'])
  with pytest.raises(SystemExit) as stopped:
    common.run_main(input_pipeline.main)
  assert stopped.value.code == 1
  assert "pip install -e '.[bench]'" in capsys.readouterr().err


def test_records_are_jpegs_of_the_size_it_says_and_ours_runs(tmp_path):
  input_images.DermoscopicJpegs(
    images=4, data_dir=str(tmp_path), file_format='array_record'
  ).download_and_prepare()
  split = open_split('dermoscopic_jpegs', 'train', str(tmp_path))
  assert jpeg_size(split.encoded(0)) == (450, 600)
  shown = {}
  for mode in ('stream', 'ram', 'device'):
    batches = input_pipeline.our_batches(str(tmp_path), 32, 4, mode)
    shown[mode] = batch = np.asarray(next(batches))
    batches.close()
    assert batch.shape == (4, 32, 32, 3)
    assert -2 <= batch.min() < batch.max() <= 2
    np.testing.assert_allclose(batch, shown['stream'], atol=1e-5)


class Fixed:
  """A random generator whose every draw is the same."""

  def random(self, size: int | None = None) -> np.ndarray | float:
    return 0.25 if size is None else np.full(size, 0.25)

  def uniform(self, low: float, high: float, size: int | None = None) -> np.ndarray | float:
    value = low + 0.25 * (high - low)
    return value if size is None else np.full(size, value)


def test_the_peer_composes_the_same_affine_map():
  options = AugmentOptions(
    flip_horizontal=True, rotation_deg=40, scale=(0.8, 1.2), translate=0.1, shear_deg=10,
    crop_area=(0.6, 0.9),
  )  # fmt: skip
  area, aspect = 0.675, np.exp(np.log(0.75) + 0.25 * np.log(16 / 9))
  crop = np.sqrt([area * aspect, area / aspect])
  expected = compose_inverse(
    64,
    64,
    flip_horizontal=True,
    flip_vertical=False,
    rotation_rad=np.deg2rad(-20),
    scale=0.9,
    shear_rad=np.deg2rad(-5),
    translate_x=-0.05,
    translate_y=-0.05,
    crop=(*(-0.25 * (1 - crop)), *crop),
  )
  np.testing.assert_allclose(input_peer.inverse_matrix(Fixed(), 64, options), expected, atol=1e-4)
