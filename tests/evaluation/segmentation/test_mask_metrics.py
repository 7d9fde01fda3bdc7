"""Metrics of masks: scikit-learn, an explicit Hausdorff distance, numbers by hand, mistakes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from data_builders.errors import UserError
from lesionjax.evaluation.segmentation import NAMES, as_binary, image_metrics, measure


def blob(centre: tuple[int, int], radius: int, shape=(48, 64)) -> np.ndarray:
  mask = np.zeros(shape, np.uint8)
  cv2.ellipse(mask, (centre, (2 * radius, radius), 30), 1, cv2.FILLED)
  return mask > 0


def rows(top: int, bottom: int, shape=(30, 40)) -> np.ndarray:
  mask = np.zeros(shape, bool)
  mask[top:bottom, 10:30] = True
  return mask


def test_equals_scikit_learn():
  rng = np.random.default_rng(0)
  truth = rng.random((30, 20)) < 0.4
  prediction = truth ^ (rng.random((30, 20)) < 0.2)
  ours = image_metrics(prediction, truth)
  y, z = truth.ravel(), prediction.ravel()
  assert ours['dice'] == pytest.approx(sklearn_metrics.f1_score(y, z))
  assert ours['jaccard'] == pytest.approx(sklearn_metrics.jaccard_score(y, z))
  assert ours['pixel_accuracy'] == pytest.approx(sklearn_metrics.accuracy_score(y, z))
  assert ours['sensitivity'] == pytest.approx(sklearn_metrics.recall_score(y, z))
  assert ours['specificity'] == pytest.approx(sklearn_metrics.recall_score(y, z, pos_label=0))
  assert tuple(ours) == NAMES


def outline(mask: np.ndarray) -> np.ndarray:
  """Boundary pixels [n, 2], one by one."""
  padded = np.pad(mask, 1)
  at = np.argwhere(mask)
  steps = np.array([[0, 1], [2, 1], [1, 0], [1, 2]])
  return np.array([p for p in at if not padded[tuple((p + steps).T)].all()], float)


def test_the_boundary_distance_is_the_one_of_all_pairs():
  for first, second in (
    (blob((30, 20), 8), blob((36, 26), 11)),
    (blob((3, 20), 9), blob((20, 30), 6)),  # cut by the image
    (blob((30, 20), 6) | blob((55, 40), 3), blob((30, 20), 7)),
  ):
    a, b = outline(first), outline(second)
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    expected = max(np.percentile(apart.min(1), 95), np.percentile(apart.min(0), 95))
    got = image_metrics(first, second)['hd95_percent']
    assert got == pytest.approx(100 * expected / 80, abs=1e-4)  # 48 x 64: the diagonal is 80
    assert got == image_metrics(second, first)['hd95_percent']


def test_boundary_distances_by_hand():
  # Rows of 20 pixels, one moved down by 5 of a diagonal of 50.
  assert image_metrics(rows(5, 6), rows(10, 11))['hd95_percent'] == pytest.approx(10)
  assert image_metrics(rows(5, 15), rows(5, 15))['hd95_percent'] == 0
  # One stray pixel of 41 is beyond the 95th percentile, three of 23 are not.
  stray = rows(5, 7)
  stray[25, 20] = True
  assert image_metrics(stray, rows(5, 7))['hd95_percent'] == 0
  line = rows(5, 6)
  line[25, 20:23] = True
  assert image_metrics(line, rows(5, 6))['hd95_percent'] == pytest.approx(40)


def test_distances_of_empty_masks_are_undefined():
  nothing = np.zeros((30, 40), bool)
  for pair in ((nothing, rows(5, 9)), (rows(5, 9), nothing), (nothing, nothing)):
    assert np.isnan(image_metrics(*pair)['hd95_percent'])


def test_failures_are_the_images_that_add_nothing_to_the_threshold_jaccard():
  truth = rows(0, 20)
  values = measure([rows(0, n) for n in (12, 13, 14)], [truth] * 3)
  np.testing.assert_allclose(values['jaccard'], [0.6, 0.65, 0.7])
  np.testing.assert_array_equal(values['threshold_jaccard'], [0, 0.65, 0.7])
  np.testing.assert_array_equal(values['failure'], [1, 0, 0])


def test_images_of_different_sizes_and_encodings_are_measured_one_by_one():
  pairs = [(blob((30, 20), 8), blob((33, 20), 8)), (rows(5, 9), rows(6, 9))]
  encoded = (
    mask.astype(np.uint8) * level for (mask, _), level in zip(pairs, (1, 255), strict=True)
  )
  values = measure(encoded, (truth for _, truth in pairs), ['a', 'b'])
  for index, pair in enumerate(pairs):
    assert {name: values[name][index] for name in NAMES} == image_metrics(*pair)


@pytest.mark.parametrize(
  ('mask', 'message'),
  [
    (np.array([[0, 128, 255]], np.uint8), 'it holds 0, 128, 255; allowed are 0 and 1'),
    (np.array([[0, 0, 7]], np.uint8), 'it holds 0, 7'),
    (np.array([[0.2, 0.9]]), r'it holds 0\.2, 0\.9.*threshold probabilities'),
    (np.array([[0, np.nan]]), 'is not binary'),
    (np.array([[-1, 0]]), 'it holds -1, 0'),
    (np.arange(9).reshape(3, 3), 'it holds 0, 1, 2, 3 and 5 other values'),
    (np.zeros((4, 4, 3), np.uint8), r'has shape \(4, 4, 3\); .* decode it to grey'),
    (np.zeros((0, 4), np.uint8), r'has shape \(0, 4\)'),
  ],
)
def test_what_is_no_mask_is_refused(mask, message):
  with pytest.raises(UserError, match=message):
    as_binary(mask)


def test_mistakes_name_the_image():
  with pytest.raises(UserError, match='predicted mask of ISIC_1 is 40x30 and the true one 64x48'):
    measure([rows(1, 3)], [blob((9, 9), 3)], ['ISIC_1'])
  with pytest.raises(UserError, match='true mask of image 1 is not binary'):
    measure([rows(1, 3)] * 2, [rows(1, 3), rows(1, 3) * 0.5])
  for predictions, masks in ((1, 2), (2, 1)):
    with pytest.raises(UserError, match=r'There are 1 .* masks but more'):
      measure([rows(1, 3)] * predictions, [rows(1, 3)] * masks)
