"""SMOTE and ADASYN: against imbalanced-learn, by geometry and by count; what cannot be filled."""

from __future__ import annotations

import imblearn.over_sampling
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.data import memory
from lesionjax.data.resample import METHODS, check_counts, resample_features, resample_pixels

NAMES = ('nv', 'df', 'mel')
LABELS = np.tile(np.repeat([0, 1, 2], [10, 2, 3]), 4).astype(np.int32)  # 40, 8 and 12


@pytest.fixture
def features():
  rng = np.random.default_rng(0)
  return (rng.normal(size=(60, 5)) + LABELS[:, None]).astype(np.float32)


@pytest.fixture
def pixels():
  return np.random.default_rng(0).integers(0, 256, (60, 6, 4, 3)).astype(np.uint8)


def on_a_segment(row, members, neighbours, tolerance):
  """Whether a row lies between a member and one of the member's nearest in its class."""
  for start in members:
    distance = np.linalg.norm(members - start, axis=1)
    for end in members[np.argsort(distance)[1 : neighbours + 1]]:
      along = end - start
      share = np.clip((row - start) @ along / (along @ along), 0, 1)
      if np.abs(start + share * along - row).max() <= tolerance:
        return True
  return False


@pytest.mark.parametrize('method', METHODS)
def test_new_rows_follow_and_lie_between_neighbours_of_one_class(features, method):
  rows, labels = resample_features(features, LABELS, NAMES, method, 3, seed=1)
  assert (rows.dtype, labels.dtype) == (np.float32, np.int32)
  np.testing.assert_array_equal(rows[:60], features)
  np.testing.assert_array_equal(labels[:60], LABELS)
  counts = np.bincount(labels)
  if method == 'smote':
    assert counts.tolist() == [40, 40, 40]
  assert (np.abs(counts - 40) <= 5).all()  # ADASYN rounds for every row
  wide = features.astype(np.float64)
  for row, label in zip(rows[60:], labels[60:], strict=True):
    assert on_a_segment(row, wide[label == LABELS], 3, 1e-5)
  # With one neighbour instead of three many do not: the check above says something.
  rest = zip(rows[60:], labels[60:], strict=True)
  assert np.mean([on_a_segment(row, wide[k == LABELS], 1, 1e-5) for row, k in rest]) < 0.7


@pytest.mark.parametrize('method', METHODS)
def test_a_class_gets_the_rows_of_imbalanced_learn(features, method):
  rows, labels = resample_features(features, LABELS, NAMES, method, 3, seed=1)
  for label in (1, 2):
    state = int(np.random.SeedSequence((1, label)).generate_state(1)[0])
    if method == 'smote':
      sampler = imblearn.over_sampling.SMOTE(k_neighbors=3, random_state=state)
    else:
      sampler = imblearn.over_sampling.ADASYN(n_neighbors=3, random_state=state)
    sampler.set_params(sampling_strategy={label: 40})
    expected, _ = sampler.fit_resample(features, LABELS)
    np.testing.assert_array_equal(rows[60:][labels[60:] == label], expected[60:])


def test_adasyn_multiplies_rows_among_other_classes():
  # Of ten rows in a line, the last two stand among another class: new ones lie beside these only.
  own = np.array([[float(x), 0.0] for x in (*range(8), 100, 101)])
  other = np.array([[100.3 + 0.05 * i, 0.0] for i in range(20)])
  features = np.concatenate([own, other]).astype(np.float32)
  labels = np.repeat([0, 1], [10, 20])
  rows, _ = resample_features(features, labels, ('a', 'b'), 'adasyn', 1, seed=0)
  assert 8 <= len(rows) - 30 <= 12
  assert (rows[30:, 0] >= 100).all()
  smote, _ = resample_features(features, labels, ('a', 'b'), 'smote', 1, seed=0)
  assert (smote[30:, 0] < 8).any()


@pytest.mark.parametrize('method', METHODS)
def test_only_seed_and_rows_decide(features, method):
  def rows(seed, given=features):
    return resample_features(given, LABELS, NAMES, method, 3, seed)[0]

  np.testing.assert_array_equal(rows(1), rows(1))
  assert (rows(1)[60:70] != rows(2)[60:70]).any()
  np.random.seed(0)  # what others do with the shared generator does not matter
  np.testing.assert_array_equal(rows(1), rows(1, features.copy()))


@pytest.mark.parametrize('method', METHODS)
def test_pixels_are_mixed_as_numbers_and_rounded(pixels, method):
  images, labels = resample_pixels(pixels, LABELS, NAMES, method, 3, seed=1)
  assert (images.dtype, images.shape[1:]) == (np.uint8, (6, 4, 3))
  np.testing.assert_array_equal(images[:60], pixels)
  flat = pixels.reshape(60, -1).astype(np.float64)
  for image, label in zip(images[60:], labels[60:], strict=True):
    assert on_a_segment(image.reshape(-1), flat[label == LABELS], 3, 0.75)  # .5 and its projection
  expected, _ = resample_features(flat.astype(np.float32), LABELS, NAMES, method, 3, seed=1)
  np.testing.assert_array_equal(images.reshape(len(images), -1), np.rint(expected))


def test_classes_of_one_size_stay_as_they_are(features):
  rows, labels = resample_features(features[:2], LABELS[[0, 10]], NAMES[:2], 'smote', 5, 0)
  assert len(rows) == len(labels) == 2


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize(
  ('counts', 'neighbours', 'message'),
  [
    (
      [40, 5, 12],
      5,
      r"needs 6 training images .* there are 5 of 'df': set .* to at most 4, choose",
    ),
    ([40, 1, 12], 5, r"needs 6 training images .* there are 1 of 'df': choose a split with more"),
    ([40, 0, 12], 5, r"has nothing to fill the class 'df' with"),
  ],
)
def test_a_class_too_small_is_named(method, counts, neighbours, message):
  labels = np.repeat([0, 1, 2], counts)
  with pytest.raises(UserError, match=message) as caught:
    check_counts(labels, NAMES, method, neighbours)
  assert str(caught.value).count('. ') == 0
  check_counts(labels, NAMES, 'none', neighbours)
  check_counts(np.repeat([0, 1, 2], [40, 6, 12]), NAMES, method, 5)


def test_adasyn_s_own_failures_are_told():
  rng = np.random.default_rng(0)
  features = rng.normal(size=(60, 5)).astype(np.float32) + 1000 * LABELS[:, None]
  with pytest.raises(UserError, match=r"fill the class 'df': none of its images .* use 'smote'"):
    resample_features(features.astype(np.float32), LABELS, NAMES, 'adasyn', 3, 0)
  labels = np.repeat([0, 1], [21, 20])
  with pytest.raises(UserError, match=r"fill the class 'df': so few are missing"):
    resample_features(features[:41] % 7, labels, NAMES[:2], 'adasyn', 3, 0)


def test_numbers_that_are_none_and_too_many_are_told(features, monkeypatch):
  with pytest.raises(UserError, match='features of the training images are not finite'):
    resample_features(
      np.where(LABELS[:, None] == 1, np.nan, features), LABELS, NAMES, 'smote', 3, 0
    )
  monkeypatch.setattr(memory, 'free_bytes', lambda: 1000)
  with pytest.raises(UserError, match=r'turns 60 rows of 5 numbers into 120, which takes'):
    resample_features(features, LABELS, NAMES, 'smote', 3, 0)
