"""The benchmark of Grad-CAM runs and says what it measured."""

from __future__ import annotations

import argparse

from benchmarks import gradcam


def test_it_measures_both_sides():
  options = argparse.Namespace(
    model='cnn', layer='last_map', method='gradcam', size=16, batch=4, images=6, classes=3, rounds=2
  )
  result = gradcam.measure(options)
  assert result['images'] == 8
  assert result['ratio_low'] <= result['ratio_high']
  assert min(result['seconds_per_1000'].values()) > 0
