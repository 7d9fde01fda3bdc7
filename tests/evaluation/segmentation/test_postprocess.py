"""What is done to probabilities, and what a validation set makes of it."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from scipy import ndimage

from data_builders.errors import UserError
from lesionjax.evaluation.segmentation import Postprocess, fit, image_metrics

_RNG = np.random.default_rng(0)


def soft(mask: np.ndarray, sigma=1.5) -> np.ndarray:
  return np.clip(ndimage.gaussian_filter(mask.astype(float), sigma), 0, 1).astype(np.float32)


def disk(radius: float, at=(20, 20)) -> np.ndarray:
  y, x = np.mgrid[:40, :44]
  return np.hypot(y - at[0], x - at[1]) < radius


def mean_dice(postprocess, probabilities, masks) -> float:
  pairs = zip(probabilities, masks, strict=True)
  return float(np.mean([image_metrics(postprocess(p), m)['dice'] for p, m in pairs]))


def test_steps_in_order():
  probability = np.where(disk(10) & ~disk(3), 0.7, 0.1)
  probability[1:4, 30:33] = 0.9
  threshold = probability >= 0.5
  np.testing.assert_array_equal(Postprocess()(probability), threshold)
  ring = disk(10) & ~disk(3)
  np.testing.assert_array_equal(Postprocess(largest_component=True)(probability), ring)
  np.testing.assert_array_equal(
    Postprocess(largest_component=True, fill_holes=True)(probability), disk(10)
  )
  np.testing.assert_array_equal(Postprocess(fill_holes=True)(probability), threshold | disk(3))
  np.testing.assert_array_equal(Postprocess(0.8)(probability), probability > 0.8)


def test_a_probability_equal_to_the_threshold_is_lesion_in_every_precision():
  for dtype in (np.float16, np.float32, np.float64):
    assert Postprocess(0.7)(np.full((2, 2), 0.7, dtype)).all()


def test_fit_finds_the_best_of_all_choices():
  masks = [disk(9, (15 + 2 * i, 18)) for i in range(6)]
  noise = [ndimage.gaussian_filter(_RNG.normal(0, 1.5, (40, 44)), 1) for _ in masks]
  probabilities = [
    np.clip(0.6 * soft(m) + 0.3 * n, 0, 1) for m, n in zip(masks, noise, strict=True)
  ]
  best = fit(probabilities, masks)
  choices = itertools.product(np.arange(0.1, 0.91, 0.05).round(2), (False, True), (False, True))
  every = [mean_dice(Postprocess(*choice), probabilities, masks) for choice in choices]
  assert mean_dice(best, probabilities, masks) == pytest.approx(max(every))
  assert min(every) < max(every) - 0.05


def test_each_step_is_chosen_where_it_helps():
  masks = [disk(10)] * 3
  speck, hole = disk(3, (5, 38)), disk(3)
  assert fit([np.where(disk(10) | speck, 0.9, 0.1)] * 3, masks).largest_component
  assert fit([np.where(disk(10) & ~hole, 0.9, 0.1)] * 3, masks).fill_holes
  assert fit([np.where(disk(10), 0.35, 0.05)] * 3, masks) == Postprocess(0.35)


def test_of_equals_the_simplest_and_the_middle_threshold_win():
  masks = [disk(10)] * 2
  assert fit([m.astype(np.float32) for m in masks], masks) == Postprocess(0.5)


def test_images_without_lesion_count():
  masks = [np.zeros((40, 44), bool)] * 3 + [disk(10)]
  probabilities = [np.where(disk(4), 0.55, 0.0)] * 3 + [np.where(disk(10), 0.9, 0.0)]
  assert fit(probabilities, masks) == Postprocess(0.6)


def test_round_trip_through_json():
  for chosen in (Postprocess(), Postprocess(0.35, True, True)):
    assert Postprocess.from_dict(json.loads(json.dumps(chosen.to_dict()))) == chosen


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (lambda: Postprocess(1.5), 'threshold 1.5 must be a number between 0 and 1'),
    (lambda: Postprocess.from_dict({'threshold': 0.5}), 'must have exactly the keys fill_holes'),
    (
      lambda: Postprocess.from_dict(
        {'threshold': 0.5, 'fill_holes': 'no', 'largest_component': True}
      ),
      "fill_holes is 'no'; it must be true or false",
    ),
    (lambda: Postprocess()(np.full((3, 3), 4.0)), r'span 4\.\.4; .* apply the sigmoid'),
    (lambda: Postprocess()(np.full((3, 3), np.nan)), 'apply the sigmoid'),
    (lambda: Postprocess()(np.full((3, 3), 255, np.uint8)), 'are uint8'),
    (lambda: fit([], []), 'there are 0 predictions and 0 masks'),
    (lambda: fit([np.zeros((3, 3))], []), 'there are 1 predictions and 0 masks'),
    (
      lambda: fit([np.zeros((3, 3))], [np.zeros((3, 4), bool)]),
      r'Prediction 0 has shape \(3, 3\) and its mask \(3, 4\)',
    ),
    (lambda: fit([np.zeros((3, 3))], [np.full((3, 3), 0.5)]), 'true mask of image 0 is not binary'),
  ],
)
def test_mistakes_are_named(call, message):
  with pytest.raises(UserError, match=message):
    call()
