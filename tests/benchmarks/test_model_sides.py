"""Arithmetic a second, and the command line of the benchmarks of models."""

import sys

import jax
import pytest

from benchmarks import model_sides


@pytest.fixture
def options(monkeypatch):
  argv = ['x', '--model=resnet18', '--size=224', '--batch=4', '--classes=1000', '--json=f']
  monkeypatch.setattr(sys, 'argv', argv)
  monkeypatch.setattr(model_sides, 'keep_freed_memory', lambda: None)
  return model_sides.parse('words', 'cnn', 64, 8, 'steps')


def test_arithmetic_a_second(options, monkeypatch):
  # 1.81 billion multiply-adds an image (torchvision), two operations each, three passes, in 2 s.
  found = model_sides.describe(options, 2.0, passes=3)
  assert found['tflops'] == pytest.approx(4 * 3 * 2 * 1.81e9 / 2.0 / 1e12, rel=0.01)
  assert 'mfu' not in found
  monkeypatch.setitem(model_sides.PEAK_TFLOPS, jax.devices()[0].device_kind, 0.1)
  assert model_sides.describe(options, 2.0, passes=3)['mfu'] == pytest.approx(0.217, abs=0.002)
