"""The views of test-time augmentation are the symmetries they are named after."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.runs import tta


@pytest.fixture
def images() -> np.ndarray:
  return np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), np.uint8)


@pytest.mark.parametrize(('name', 'count'), [('', 1), ('none', 1), ('flips', 4)])
def test_the_first_view_is_the_image_itself(images, name, count):
  views = tta.views(name)
  assert len(views) == count
  np.testing.assert_array_equal(views[0](images), images)


def test_flips_are_those_of_numpy(images):
  seen = {view(images).tobytes() for view in tta.views('flips')}
  expected = {np.flip(images, axes).tobytes() for axes in [(), (1,), (2,), (1, 2)]}
  assert seen == expected


def test_quarter_turns_are_the_eight_symmetries_of_the_square(images):
  seen = {np.ascontiguousarray(view(images)).tobytes() for view in tta.views('quarter_turns')}
  expected = set()
  for side in (images, images[:, :, ::-1]):
    expected |= {np.rot90(side, turns, (1, 2)).tobytes() for turns in range(4)}
  assert seen == expected
  assert len(seen) == 8


def test_flips_keep_the_shape_and_type_of_oblong_images():
  for dtype in (np.uint8, np.float32):
    oblong = np.zeros((1, 4, 6, 3), dtype)
    for view in tta.views('flips'):
      assert view(oblong).shape == oblong.shape
      assert view(oblong).dtype == dtype


def test_views_are_the_same_of_jax_arrays(images):
  for view in tta.views('quarter_turns'):
    np.testing.assert_array_equal(np.asarray(view(jnp.asarray(images))), view(images))


def test_what_cannot_be_is_refused():
  with pytest.raises(UserError, match='none, flips or quarter_turns'):
    tta.views('turns')
  with pytest.raises(UserError, match='6 x 4 px'):
    tta.check_size('quarter_turns', 4, 6)
  with pytest.raises(UserError, match='6 x 4 px'):
    tta.views('quarter_turns')[4](np.zeros((1, 4, 6, 3)))
  tta.check_size('flips', 4, 6)
