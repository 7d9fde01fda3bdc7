"""Alarms at maps made by hand, on artefacts drawn by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lesionjax.evaluation.relevance import artefacts


def skin(side=256):
  noise = np.random.default_rng(0).normal(0, 4, (side, side, 3))
  return np.clip(np.array([215, 170, 150]) + noise, 0, 255).astype(np.uint8)


def test_frame_ruler_and_hair_are_told_apart():
  image = skin()
  rows, columns = np.mgrid[:256, :256]
  for tick in range(20):
    x = 30 + 10 * tick
    cv2.line(image, (x, 225), (x, 225 - (12 if tick % 5 else 20)), (30, 25, 25), 1, cv2.LINE_AA)
  cv2.line(image, (60, 40), (190, 150), (50, 35, 30), 2, cv2.LINE_AA)
  black = np.hypot(rows - 128, columns - 128) > 150
  image[black] = 4
  found = artefacts.find_artefacts(image)
  assert set(found) == set(artefacts.KINDS)
  assert sum(mask.astype(int) for mask in found.values()).max() == 1
  assert found['frame'][black].mean() > 0.95
  assert not found['frame'][60:200, 60:200].any()
  assert found['ruler'][215:226, 60:200].mean() > 0.9
  assert found['hair'][40:150, 60:190].sum() > 150
  assert not found['hair'][205:226].any()


def test_clean_skin_has_nothing():
  assert not any(mask.any() for mask in artefacts.find_artefacts(skin()).values())


def test_coverage_keeps_the_area():
  mask = np.zeros((256, 256), bool)
  mask[100, :] = True  # a hair of one pixel
  covered = artefacts.coverage(mask, (64, 64))
  assert covered.mean() == pytest.approx(mask.mean())
  assert covered.max() == pytest.approx(0.25)


@pytest.mark.parametrize(
  ('share', 'area', 'alarm'),
  [(0.5, 0.1, True), (0.2, 0.05, False), (0.5, 0.3, False), (0.3, 0.1, True), (0.26, 0.14, False)],
)
def test_an_alarm_needs_a_quarter_of_the_relevance_and_twice_the_area(share, area, alarm):
  region = np.zeros((1, 10, 10))
  region[0].flat[: round(100 * area)] = 1
  relevance = np.where(region > 0, share / area, (1 - share) / (1 - area))
  flags, shares = artefacts.alarms(relevance, region)
  assert shares == pytest.approx(share)
  assert flags.tolist() == [alarm]


def test_an_empty_map_raises_no_alarm():
  flags, shares = artefacts.alarms(np.zeros((1, 4, 4)), np.ones((1, 4, 4)))
  assert not flags[0]
  assert np.isnan(shares[0])
