"""The classical baseline on drawn lesions: it finds what is darker, and neither frame nor hair."""

from __future__ import annotations

import zipfile

import cv2
import numpy as np
import pytest

from data_builders.cleaning.otsu import otsu_mask

SKIN, LESION = (215, 170, 150), (110, 75, 60)


def photograph(height=120, width=160, centre=(80, 60), axes=(60, 40), seed=0):
  """uint8 [H, W, 3] with noise, and the lesion bool [H, W]."""
  truth = np.zeros((height, width), np.uint8)
  cv2.ellipse(truth, (centre, axes, 15), 1, cv2.FILLED)
  image = np.where(truth[..., None] > 0, LESION, SKIN) + np.random.default_rng(seed).normal(
    0, 5, (height, width, 3)
  )
  return np.clip(image, 0, 255).astype(np.uint8), truth > 0


def dice(first: np.ndarray, second: np.ndarray) -> float:
  return 2 * (first & second).sum() / (first.sum() + second.sum())


def test_a_dark_lesion_is_found():
  image, truth = photograph()
  mask = otsu_mask(image)
  assert mask.dtype == bool
  assert dice(mask, truth) > 0.97


def test_the_threshold_is_opencvs():
  ramp = np.repeat(np.linspace(60, 220, 160).astype(np.uint8)[None], 120, axis=0)
  mask = otsu_mask(np.repeat(ramp[..., None], 3, axis=2))
  threshold, _ = cv2.threshold(ramp, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
  # The dark half touches the border, and stays since it is all there is.
  assert abs(int(mask.sum()) - int((ramp <= threshold).sum())) <= 120


@pytest.mark.parametrize('shade', [0, 20])
def test_black_corners_are_no_lesion(shade):
  image, truth = photograph()
  y, x = np.mgrid[:120, :160]
  image[np.hypot(x - 80, y - 60) > 75] = shade
  assert dice(otsu_mask(image), truth) > 0.95


def test_black_corners_do_not_decide_the_threshold():
  image, truth = photograph()
  image[truth] += 60  # pale: far nearer to skin than to black
  y, x = np.mgrid[:120, :160]
  image[np.hypot(x - 80, y - 60) > 60] = 4
  assert dice(otsu_mask(image), truth) > 0.95


def test_shadow_at_the_border_is_no_lesion():
  image, truth = photograph()
  image[:, :35] = LESION  # larger than the lesion
  assert truth.sum() < (35 * 120)
  assert dice(otsu_mask(image), truth) > 0.95


def test_a_lesion_that_touches_the_border_is_found_when_it_is_all_there_is():
  image, truth = photograph(centre=(10, 60))
  assert truth[:, 0].any()
  assert dice(otsu_mask(image), truth) > 0.97


def test_a_lesion_cut_apart_by_gloss_and_with_dirt_around_is_one_region():
  image, truth = photograph()
  image[:, 79:81] = 235
  image[10:14, 20:24] = LESION  # too small
  mask = otsu_mask(image)
  assert dice(mask, truth) > 0.95
  assert cv2.connectedComponents(mask.astype(np.uint8))[0] == 2


def test_an_image_of_one_grey_has_no_lesion():
  for level in (0, 128, 255):
    assert not otsu_mask(np.full((40, 50, 3), level, np.uint8)).any()


@pytest.mark.parametrize('size', [(2, 2), (9, 30), (300, 201)])
def test_any_size(size):
  image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
  assert otsu_mask(image).shape == size


@pytest.mark.realdata
def test_real_lesions_are_found_about_as_well_as_the_baseline_claims(shared_data):
  folder = shared_data / 'isic2018_task1'
  scores = []
  with (
    zipfile.ZipFile(folder / 'ISIC2018_Task1-2_Training_Input.zip') as images,
    zipfile.ZipFile(folder / 'ISIC2018_Task1_Training_GroundTruth.zip') as masks,
  ):
    truth_of = {name.split('/')[-1][:12]: name for name in masks.namelist()}
    names = [name for name in images.namelist() if name.endswith('.jpg')]
    for name in names[::26]:
      image = cv2.imdecode(np.frombuffer(images.read(name), np.uint8), cv2.IMREAD_COLOR)
      encoded = masks.read(truth_of[name.split('/')[-1][:12]])
      mask = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE)
      small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), (128, 128))
      truth = cv2.resize(mask, (128, 128), interpolation=cv2.INTER_NEAREST) > 127
      scores.append(dice(otsu_mask(small), truth))
  assert len(scores) == 100
  assert 0.66 < np.mean(scores) < 0.8  # .725 on all training images, standard error .03
