"""Mixed images and the two they lie between, against what resampling adds."""

from __future__ import annotations

import numpy as np
import pytest

from lesionjax.data.between import between_pixels
from lesionjax.data.resample import METHODS, resample_pixels
from tests.data.test_resample import LABELS, NAMES

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 6, 4, 3)).astype(np.uint8)


@pytest.mark.parametrize('method', METHODS)
def test_an_added_image_s_parents_are_the_two_it_lies_between(method):
  found, added = between_pixels(PIXELS, LABELS, NAMES, method, 3, seed=1, most=6)
  images, labels = resample_pixels(PIXELS, LABELS, NAMES, method, 3, seed=1)
  np.testing.assert_array_equal(added, np.bincount(labels[60:], minlength=3))
  assert np.bincount(found.labels).tolist() == [0, 6, 6]
  made = {image.tobytes(): label for image, label in zip(images[60:], labels[60:], strict=True)}
  wide = PIXELS.reshape(60, -1).astype(np.float64)
  for image, label, (first, second), share in zip(
    found.images, found.labels, found.parents, found.shares, strict=True
  ):
    assert made[image.tobytes()] == label == LABELS[first] == LABELS[second]
    mixture = wide[first] + share * (wide[second] - wide[first])
    assert np.abs(mixture - image.reshape(-1)).max() <= 0.51
    members = np.flatnonzero(label == LABELS)
    order = members[np.argsort(np.linalg.norm(wide[members] - wide[first], axis=1))]
    assert second in order[1:4]
  assert len(np.unique(found.shares)) == 12
  assert ((found.shares > 0) & (found.shares < 1)).all()


def test_nothing_lies_between_where_nothing_is_added():
  found, added = between_pixels(PIXELS[[0, 10]], LABELS[[0, 10]], NAMES[:2], 'smote', 5, 0, 6)
  assert (found.images.shape, found.parents.shape) == ((0, 6, 4, 3), (0, 2))
  assert added.tolist() == [0, 0]


def test_images_that_are_there_twice_are_no_pair_of_their_own():
  twice = np.concatenate([PIXELS, PIXELS[LABELS == 1]])
  labels = np.concatenate([LABELS, np.full(8, 1, LABELS.dtype)])
  found, _ = between_pixels(twice, labels, NAMES, 'smote', 3, seed=0, most=40)
  wide = twice.reshape(68, -1).astype(np.float64)
  first, second = found.parents.T
  assert (first != second).all()
  mixture = wide[first] + found.shares[:, None] * (wide[second] - wide[first])
  assert np.abs(mixture - found.images.reshape(len(mixture), -1)).max() <= 0.51
