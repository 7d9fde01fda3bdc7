"""Deletion and insertion against brute force, pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lesionjax.evaluation.relevance import perturbation


def picture(seed=0, side=12):
  return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def brightness(images, classes):
  """A 'network' whose probability is the mean of the channel that is the class."""
  return images[np.arange(len(images)), ..., classes].mean((1, 2)) / 255


def test_curves_equal_deleting_pixel_after_pixel():
  image, relevance = picture(), np.random.default_rng(1).random((12, 12))
  found = perturbation.curves(brightness, image[None], np.array([2]), relevance[None], steps=6)
  mean = np.rint(image.mean((0, 1))).astype(np.uint8)
  blur = cv2.GaussianBlur(image, (0, 0), 0.05 * 12)
  removed, put = image.copy(), blur.copy()
  deletion, insertion = [removed[..., 2].mean() / 255], [put[..., 2].mean() / 255]
  for number, pixel in enumerate(np.argsort(-relevance.ravel()), 1):
    row, column = divmod(int(pixel), 12)
    removed[row, column] = mean
    put[row, column] = image[row, column]
    if number % 24 == 0:
      deletion.append(removed[..., 2].mean() / 255)
      insertion.append(put[..., 2].mean() / 255)
  np.testing.assert_allclose(found['deletion'], [deletion])
  np.testing.assert_allclose(found['insertion'], [insertion])


def test_a_map_that_knows_the_class_deletes_faster_and_inserts_sooner_than_chance():
  image = np.full((64, 64, 3), 20, np.uint8)
  image[20:28, 20:28, 1] = 250

  def network(images, classes):
    seen = images[..., 1].astype(float)[:, 20:28, 20:28].mean((1, 2))
    return 1 / (1 + np.exp(-(seen - 200) / 10))

  truth = np.zeros((64, 64))
  truth[20:28, 20:28] = 1
  args = (network, image[None], np.array([0]))
  good = perturbation.curves(*args, truth[None], steps=8)
  chance = perturbation.curves(*args, perturbation.random_maps(1, (64, 64), 0), steps=8)
  area = {
    name: perturbation.area_under(good[name]) - perturbation.area_under(chance[name])
    for name in good
  }
  assert area['deletion'] < -0.15
  assert area['insertion'] > 0.15


def test_area_under_is_the_mean_height_by_trapezia():
  assert perturbation.area_under(np.array([[1.0, 1.0, 1.0], [1.0, 0.5, 0.0]])) == pytest.approx(
    [1, 0.5]
  )


def test_equal_pixels_come_in_no_order_of_rows():
  relevance = np.zeros((10, 10))
  relevance[3, 3] = 1
  rank = perturbation.ranks(relevance)
  assert rank[3, 3] == 0
  assert sorted(rank.ravel().tolist()) == list(range(100))
  upper = rank[:5][rank[:5] > 0].mean()
  assert 35 < upper < 65  # in the order of rows it would be 25
  np.testing.assert_array_equal(rank, perturbation.ranks(relevance))


def test_the_ends_of_both_curves_are_the_image_and_nothing_of_it():
  image = picture(2)
  rank = perturbation.ranks(np.random.default_rng(0).random((12, 12)))
  fractions = np.array([0.0, 1.0])
  gone = perturbation.perturbed(image, rank, fractions, deletion=True)
  come = perturbation.perturbed(image, rank, fractions, deletion=False)
  np.testing.assert_array_equal(gone[0], image)
  assert (np.ptp(gone[1], (0, 1)) == 0).all()
  np.testing.assert_array_equal(come[1], image)
  np.testing.assert_array_equal(come[0], perturbation.blurred(image))


def test_random_maps_have_the_grain_that_is_asked_for():
  smooth = perturbation.random_maps(20, (64, 64), 4)
  rough = perturbation.random_maps(20, (64, 64), 0)
  assert np.abs(np.diff(smooth, axis=2)).mean() < 0.05
  assert np.abs(np.diff(rough, axis=2)).mean() == pytest.approx(1 / 3, abs=0.02)
