"""What the benchmark of cleaning does besides timing."""

from __future__ import annotations

import json
import sys

import numpy as np

from benchmarks import common, preprocess, preprocess_plain
from data_builders import pool
from data_builders.cleaning import encoded, pipeline


def test_both_sides_do_the_same_work():
  data = preprocess.draw_jpegs(1)[0]
  assert encoded.jpeg_size(data) == (768, 1024)
  pairs = (
    (preprocess.PUBLISHED, preprocess_plain.resize_then_clean),
    (preprocess.FULL_PUBLISHED, preprocess_plain.clean_then_resize),
  )
  for name, plain in pairs:
    ours = encoded.decode_rgb(pipeline.clean_encoded(pipeline.parse(name), data)[0])
    peer = encoded.decode_rgb(plain(data))
    assert ours.shape == peer.shape == (256, 256, 3)
    assert np.abs(ours.astype(float) - peer).mean() < 8, name  # other interpolation


def test_every_ratio_is_of_sides_that_are_timed():
  with pool.Processes(1) as workers:
    functions = preprocess.sides(preprocess.draw_jpegs(1), workers)
  assert {name for ratio in preprocess.RATIOS for name in ratio} == set(functions)


def test_it_prints_rates_and_ratios(monkeypatch, capsys, tmp_path):
  times = iter(range(1000))
  monkeypatch.setattr(preprocess.time, 'perf_counter', lambda: float(next(times)))
  path = tmp_path / 'line.jsonl'
  monkeypatch.setattr(
    sys, 'argv', ['preprocess', '--images=1', '--rounds=2', '--workers=1', f'--json={path}']
  )
  common.run_main(preprocess.main)
  printed = capsys.readouterr()
  result = json.loads(printed.out)
  assert json.loads(path.read_text()) == result
  assert result['images_per_s']['pool'] == {'median': 1.0, 'low': 1.0, 'high': 1.0}
  assert result['ratios']['pool / one'] == {'median': 1.0, 'low': 1.0, 'high': 1.0}
  assert result['workers'] == 1
  assert 'one / plain' in printed.err
