"""Shifted, zoomed, turned and recoloured copies register, with the transform they were made by."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lesionjax.evaluation import candidates, keypoints, registration
from tests.evaluation.pictures import jpeg, picture

COUNT = 6
# Picture -> how its copy was made: zoom, turn in degrees (clockwise), shift in px.
MADE = {0: (1.0, 0.0, (40, -25)), 1: (1.5, 0.0, (10, 5)), 2: (0.8, 30.0, (-20, 15))}


def _copy(seed: int) -> np.ndarray:
  """The same lesion in another frame, darker and bluer."""
  zoom, turn_deg, shift = MADE[seed]
  # OpenCV turns counter-clockwise.
  matrix = cv2.getRotationMatrix2D((128, 128), -turn_deg, zoom)
  matrix[:, 2] += shift
  size = (256, 256)
  moved = cv2.warpAffine(picture(seed), matrix, size, borderMode=cv2.BORDER_REFLECT)
  return np.clip(moved * np.array([0.95, 0.8, 0.7]) + 5, 0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def collection() -> dict[str, bytes]:
  images = {f'image{seed}': jpeg(picture(seed)) for seed in range(COUNT)}
  return images | {f'copy{seed}': jpeg(_copy(seed), quality=75) for seed in MADE}


def test_copies_in_another_frame_are_found_and_nothing_else(collection):
  ids = list(collection)
  found = registration.find_registered(ids, collection.__getitem__)
  assert sorted((ids[p.first], ids[p.second]) for p in found) == [
    (f'image{seed}', f'copy{seed}') for seed in MADE
  ]
  assert [p.inliers for p in found] == sorted((p.inliers for p in found), reverse=True)
  for pair in found:
    zoom, turn_deg, _ = MADE[pair.first]
    assert pair.zoom == pytest.approx(zoom, rel=0.03)
    assert pair.turn_deg == pytest.approx(turn_deg, abs=2)
    assert pair.ncc > 0.7
    assert pair.inliers >= registration.MIN_INLIERS


def test_what_is_known_to_be_one_group_is_not_looked_for(collection):
  ids = list(collection)
  groups = [name.removeprefix('image').removeprefix('copy') for name in ids]
  assert registration.find_registered(ids, collection.__getitem__, groups) == []


def test_a_group_of_a_found_partner_is_tried(collection, monkeypatch):
  """The pair that no vote proposed is found next to the one that was."""
  ids = ['image0', 'copy0', 'again0']
  images = collection | {'again0': jpeg(picture(0), quality=70)}
  only = candidates.Candidates(np.array([0]), np.array([1]), np.array([9]))
  monkeypatch.setattr(registration, 'propose', lambda *_: only)
  found = registration.find_registered(ids, images.__getitem__, ['a', 'b', 'b'])
  assert sorted((p.first, p.second) for p in found) == [(0, 1), (0, 2)]


def test_images_without_keypoints_are_passed_over():
  images = {'blank': jpeg(np.full((256, 256, 3), 90, np.uint8)), 'one': jpeg(picture(0))}
  assert registration.find_registered(list(images), images.__getitem__) == []
  assert registration.find_registered([], images.__getitem__) == []
  assert registration.find_registered(['blank'], images.__getitem__) == []


def test_keypoints_are_in_pixels_of_the_common_size(collection):
  large = cv2.resize(picture(0), (768, 512), interpolation=cv2.INTER_CUBIC)
  images = collection | {'large': jpeg(large), 'small': jpeg(picture(0, 64))}
  found = keypoints.detect(['image0', 'large', 'small'], images.__getitem__, threads=1)
  assert len(found) == 3
  assert found.sizes.tolist() == [[256, 256], [256, 384], [256, 256]]
  frames, descriptors = found.of(1)
  assert frames.shape[1] == 4
  assert frames[:, 0].max() < 384
  assert frames[:, 1].max() < 256
  np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, atol=0.05)
  assert np.bincount(found.image_of()).tolist() == np.diff(found.starts).tolist()


@pytest.mark.parametrize('seed', MADE)
def test_votes_say_where_the_centre_lies(collection, seed):
  ids = [f'image{seed}', f'copy{seed}']
  points = keypoints.detect(ids, collection.__getitem__)
  proposed = candidates.propose(points)
  assert (proposed.first.tolist(), proposed.second.tolist()) == ([0], [1])
  assert proposed.votes[0] >= 10
  # The shift of the copy is where the first image's centre went.
  first, second = next(iter(_votes(points)))
  x_px, y_px, turn_deg, octaves = candidates._centre(points, points.image_of(), first, second)
  zoom, made_deg, shift = MADE[seed]
  assert np.median(x_px) == pytest.approx(128 + shift[0], abs=4)
  assert np.median(y_px) == pytest.approx(128 + shift[1], abs=4)
  assert np.median((turn_deg - made_deg + 180) % 360 - 180) == pytest.approx(0, abs=5)
  assert np.median(octaves) == pytest.approx(np.log2(zoom), abs=0.1)


def test_few_inliers_need_grey_values_that_agree(collection, monkeypatch):
  ids = ['image0', 'copy0']
  monkeypatch.setattr(registration._Register, '_correlation', lambda *_: 0.5)
  assert len(registration.find_registered(ids, collection.__getitem__)) == 1
  monkeypatch.setattr(registration, 'SURE_INLIERS', 10**6)
  assert registration.find_registered(ids, collection.__getitem__) == []


def _votes(points):
  cells, codes = candidates._quantise(points.descriptors)
  alike = candidates._alike(cells, codes, points.image_of())
  yield tuple(np.concatenate(column) for column in zip(*alike, strict=True))


def test_alike_keypoints_are_those_of_one_cell_with_near_codes():
  rng = np.random.default_rng(0)
  image_of = np.sort(rng.integers(0, 5, 200)).astype(np.int32)
  cells = rng.integers(0, 6, 200).astype(np.int32)
  codes = rng.integers(0, 2**16, 200).astype(np.uint64)
  found = {
    (int(a), int(b))
    for first, second in candidates._alike(cells, codes, image_of)
    for a, b in zip(first, second, strict=True)
  }
  expected = {
    (a, b)
    for a in range(200)
    for b in range(a + 1, 200)
    if cells[a] == cells[b]
    and image_of[a] != image_of[b]
    and bin(int(codes[a]) ^ int(codes[b])).count('1') <= 12
  }
  assert found == expected


def test_only_the_best_pairs_of_an_image_are_kept():
  one, other = np.array([0, 0, 0, 1]), np.array([1, 2, 3, 2])
  votes = np.array([5, 9, 7, 3])
  # 0 keeps 2; 1 keeps 0; 2 keeps 0; 3 keeps 0.
  assert candidates._among_best(one, other, votes, 1).tolist() == [True, True, True, False]
