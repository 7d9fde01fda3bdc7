"""Hair removal: the published code to the pixel, lines found, lesions left alone."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np
import pytest

from data_builders.cleaning import hair, lines
from data_builders.synthetic_dermoscopy import lesion, photograph, plan


@functools.cache
def pictures(side_px: int = 192) -> list[photograph.Picture]:
  """Photographs of two lesions of every class, with and without hair."""
  shots = [group[0] for group in plan.by_lesion(plan.make_plan(plan.class_counts()))]
  chosen = [s for k in range(8) for s in [s for s in shots if s.label == k][:3]]
  drawn = []
  for shot in chosen:
    board = lesion.draw_lesion(shot.label, shot.ita_deg, shot.lesion_seed, side_px)
    drawn.append(photograph.take_photograph(board, shot.photograph_seed, side_px))
  return drawn


def skin(height: int, width: int) -> np.ndarray:
  rng = np.random.default_rng(0)
  tone = np.array([215, 165, 140])
  return np.clip(tone + rng.normal(0, 3, (height, width, 3)), 0, 255).astype(np.uint8)


def test_published_is_the_published_code():
  for picture in pictures()[:6]:
    bgr = cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR)
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (17, 17))
    blackhat = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel)
    _, mask = cv2.threshold(blackhat, 10, 255, cv2.THRESH_BINARY)
    cleaned = cv2.inpaint(bgr, mask, 1, cv2.INPAINT_TELEA)
    np.testing.assert_array_equal(hair.hair_mask(picture.image, hair.PUBLISHED), mask)
    np.testing.assert_array_equal(
      hair.remove_hair(picture.image, hair.PUBLISHED), cleaned[..., ::-1]
    )


@pytest.mark.parametrize('options', [hair.PUBLISHED, hair.DEFAULT])
def test_pure_and_equal_outside_the_mask(options):
  image = pictures()[0].image.copy()
  before = image.copy()
  mask, cleaned = hair.hair_mask(image, options), hair.remove_hair(image, options)
  np.testing.assert_array_equal(image, before)
  np.testing.assert_array_equal(hair.remove_hair(image, options), cleaned)
  np.testing.assert_array_equal(cleaned[mask == 0], image[mask == 0])
  assert set(np.unique(mask)) <= {0, 255}
  assert cleaned is not image


def test_images_without_hair_are_hardly_touched():
  bald = [picture.image for picture in pictures() if not picture.hair_mask.any()]
  assert len(bald) >= 5
  shares = [np.any(hair.remove_hair(image) != image, axis=-1).mean() for image in bald]
  assert np.mean(shares) < 0.02
  published = [hair.hair_mask(image, hair.PUBLISHED).mean() / 255 for image in bald]
  assert np.mean(shares) < np.mean(published) / 5


def test_drawn_dark_hairs_are_found_and_repaired():
  recalls, gains = [], []
  for picture in pictures():
    truth = picture.hair_mask > 0
    difference = picture.image.astype(float) - picture.image_without_hair
    if truth.sum() < 200 or difference[truth].mean() > -15:
      continue  # none, hardly any, or pale ones
    recalls.append((hair.hair_mask(picture.image)[truth] > 0).mean())
    left = hair.remove_hair(picture.image).astype(float) - picture.image_without_hair
    gains.append(np.sqrt(np.mean(difference[truth] ** 2) / np.mean(left[truth] ** 2)))
  assert len(recalls) >= 4
  assert np.median(recalls) > 0.85
  assert np.median(gains) > 2.5


@pytest.mark.parametrize(('height', 'width'), [(128, 128), (256, 340), (768, 1024)])
@pytest.mark.parametrize('light', [False, True])
def test_lengths_grow_with_the_image(height, width, light):
  image = skin(height, width)
  truth = np.zeros((height, width), np.uint8)
  unit = height / 128
  for start, end in (((10, 20), (110, 60)), ((30, 120), (100, 10)), ((15, 80), (120, 84))):
    first, last = ([round(v * unit) for v in point] for point in (start, end))
    cv2.line(truth, first, last, 255, max(1, round(1.2 * unit)), cv2.LINE_AA)
  tone = np.array([250, 245, 240]) if light else np.array([40, 25, 20])
  alpha = truth[..., None] / 255
  hairy = np.rint(image * (1 - alpha) + tone * alpha).astype(np.uint8)
  found = hair.hair_mask(hairy) > 0
  assert found[truth > 128].mean() > 0.9
  near = cv2.dilate(truth, np.ones((2 * round(2.5 * unit) + 1,) * 2, np.uint8)) > 0
  assert near[found].mean() > 0.95
  assert np.abs(hair.remove_hair(hairy)[truth > 128].astype(float) - image.mean((0, 1))).mean() < 8


def test_edges_spots_and_meshes_are_no_hair():
  image = skin(256, 256)
  cv2.circle(image, (100, 120), 60, (90, 50, 35), cv2.FILLED)  # a lesion, whose edge is a line
  cv2.rectangle(image, (0, 0), (12, 255), (5, 5, 5), cv2.FILLED)  # a bar of a black frame
  for x in range(180, 250, 9):
    for y in range(20, 240, 9):
      cv2.circle(image, (x, y), 2, (70, 35, 25), cv2.FILLED)  # dots and globules
  for x in range(70, 130, 6):
    for y in range(90, 150, 6):
      cv2.circle(image, (x, y), 3, (60, 30, 20), 1)  # pigment network
  assert (hair.hair_mask(image) > 0).mean() < 0.005
  assert (hair.hair_mask(image, hair.PUBLISHED) > 0).mean() > 0.05


def test_skin_between_dark_hairs_is_no_light_hair():
  image = skin(256, 256)
  for x in range(100, 140, 8):
    cv2.line(image, (x, 10), (x + 20, 245), (35, 25, 20), 1, cv2.LINE_AA)
  dark_only = dataclasses.replace(hair.DEFAULT, light_rules=())
  both, dark = hair.hair_mask(image) > 0, hair.hair_mask(image, dark_only) > 0
  assert dark.any()
  assert both.sum() - dark.sum() < 0.02 * dark.sum()


def test_spots_as_long_as_a_rule_are_no_lines():
  plane = np.full((64, 64), 200, np.uint8)
  cv2.circle(plane, (20, 32), 4, 120, cv2.FILLED)
  cv2.line(plane, (44, 10), (44, 50), 120, 3)
  found = lines.find_lines(plane, 13, [(7, 20)], 12) > 0
  assert not found[:, :32].any()
  assert found[12:49, 44].all()


def test_line_depth_is_what_the_threshold_compares():
  plane = np.full((64, 64), 200, np.uint8)
  plane[30, 10:40] = 180
  found = lines.find_lines(plane, 5, [(15, 19)], 12)
  np.testing.assert_array_equal(np.argwhere(found)[:, 0], 30)
  assert found[30, 10:40].all()
  assert not lines.find_lines(plane, 5, [(15, 20)], 12).any()
  assert not lines.find_lines(plane, 5, [(33, 10)], 12).any()  # longer than the line
  assert not lines.find_lines(np.repeat(plane, 5, axis=0), 5, [(15, 19)], 12).any()  # too wide


@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 40, 3), (8, 8, 3), (40, 2, 3)])
@pytest.mark.parametrize('options', [hair.PUBLISHED, hair.DEFAULT])
def test_tiny_images(shape, options):
  image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  assert hair.remove_hair(image, options).shape == shape


def test_an_image_that_is_all_hair_is_left_as_it_is(monkeypatch):
  monkeypatch.setattr(hair, 'hair_mask', lambda image, _: np.full(image.shape[:2], 255, np.uint8))
  image = skin(16, 16)
  np.testing.assert_array_equal(hair.remove_hair(image), image)
