"""Arithmetic of a GAN's step by hand, and our step without its peer."""

import argparse

import numpy as np
import pytest

from benchmarks import gan_step


def options(model, divide=1, size=64):
  return argparse.Namespace(model=model, divide=divide, size=size, classes=7, latent=128)


def test_arithmetic_of_the_published_pair_by_hand():
  # Per output pixel of an up-convolution 4 of 16 taps meet a pixel; 2 operations a product.
  up = 2 * 4 * (16**2 * 256 * 128 + 32**2 * 128 * 64 + 64**2 * 64 * 32)
  generator = 2 * 128 * 8 * 8 * 256 + up + 2 * 9 * 64**2 * 32 * 3
  down = 2 * 16 * (32**2 * 4 * 64 + 16**2 * 64 * 128 + 8**2 * 128 * 256)
  expected = (4 * generator + 8 * down) / 1e9
  assert gan_step.step_gflop(options('published')) == pytest.approx(expected)
  assert expected == pytest.approx(2.0, abs=0.05)


def test_arithmetic_of_our_pair_by_hand():
  up = 2 * 16 * (4**2 * 192 * 192 + 8**2 * 192 * 96 + 16**2 * 96 * 48 + 32**2 * 48 * 24)
  generator = 2 * 192 * 3072 + up + 2 * 9 * 64**2 * 24 * 3
  down = 2 * 16 * (32**2 * 3 * 32 + 16**2 * 32 * 64 + 8**2 * 64 * 128 + 4**2 * 128 * 256)
  judged = (
    down + 2 * 9 * 4**2 * 257 * 256 + 2 * 4096 * 128
  )  # with the spread of the batch, then dense
  expected = (4 * generator + 8 * judged) / 1e9
  assert gan_step.step_gflop(options('projection')) == pytest.approx(expected)


def test_ours_steps():
  image = np.zeros((2, 16, 16, 3), np.float32)
  given = options('published', 16, 16)
  run, compile_s = gan_step.ours_step(given, image, np.array([0, 1]))
  assert np.isfinite([run(), run(), compile_s]).all()
