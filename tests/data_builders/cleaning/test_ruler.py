"""Rulers are found where ticks were drawn, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_builders.cleaning.ruler import ruler_mask

LIGHT, DARK = (222, 180, 160), (120, 82, 66)


def skin(height=256, width=256, colour=LIGHT, seed=0):
  noise = np.random.default_rng(seed).normal(0, 4, (height, width, 3))
  return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def draw(image, start, along, tick, count, colour=(35, 30, 30), width=1, gap=None):
  """Ticks from `start`, one every `along`, each as long as `tick`; every fifth is longer."""
  start, along, tick = (np.array(v, float) for v in (start, along, tick))
  for number in range(count):
    if number == gap:
      continue
    foot = start + number * along
    head = foot + tick * (1.7 if number % 5 == 0 else 1)
    points = [tuple(round(float(v) * 16) for v in point) for point in (foot, head)]
    cv2.line(image, points[0], points[1], colour, width, cv2.LINE_AA, 4)
  return image


@pytest.mark.parametrize('colour', [LIGHT, DARK])
@pytest.mark.parametrize('scale', [1, 2])
@pytest.mark.parametrize('angle', [0, 5, 30, 90])
def test_drawn_ticks_are_found(colour, scale, angle):
  image = skin(256 * scale, 256 * scale, colour)
  turn = np.deg2rad(angle)
  along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
  start = 128 * scale - along * 80 * scale
  draw(image, start, along * 8 * scale, across * 9 * scale, 21, width=scale)
  mask = ruler_mask(image)
  for number in range(21):
    x, y = (start + number * 8 * scale * along + across * 4 * scale).astype(int)
    assert mask[y, x]
  assert mask.mean() < 0.12


def test_a_baseline_and_a_missing_tick_do_no_harm():
  image = draw(skin(), (30, 220), (9, 0), (0, -10), 20, gap=7)
  cv2.line(image, (30, 220), (201, 220), (35, 30, 30), 1, cv2.LINE_AA)
  mask = ruler_mask(image)
  assert mask[212:220, 32:199].mean() > 0.95


def test_few_or_uneven_ticks_are_none():
  assert not ruler_mask(draw(skin(), (30, 220), (12, 0), (0, -10), 6)).any()
  image, rng = skin(), np.random.default_rng(1)
  for x in np.cumsum(rng.uniform(5, 25, 14)):
    draw(image, (15 + x, 220), (1, 0), (0, -10), 1)
  assert not ruler_mask(image).any()


def test_hairs_and_a_lesion_are_none():
  image, rng = skin(), np.random.default_rng(3)
  cv2.circle(image, (128, 128), 50, (105, 70, 58), -1, cv2.LINE_AA)
  for _ in range(25):
    x, y = rng.integers(0, 256, 2).tolist()
    dx, dy = rng.normal(0, 60, 2).astype(int).tolist()
    cv2.line(image, (x, y), (x + dx, y + dy), (50, 35, 30), 2, cv2.LINE_AA)
  assert not ruler_mask(image).any()


@pytest.mark.parametrize('shape', [(1, 1), (5, 40), (64, 48)])
def test_small_images_are_read(shape):
  assert ruler_mask(skin(*shape)).shape == shape
