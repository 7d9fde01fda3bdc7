"""What the options draw; exactness, determinism, sharding."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.data.augment import AugmentOptions, _draw_inverse, augment, normalise

KEY = jax.random.key(3)
EVERYTHING = AugmentOptions(
  flip_horizontal=True,
  flip_vertical=True,
  rotation_deg=40,
  scale=(0.8, 1.3),
  translate=0.1,
  shear_deg=10,
  crop_area=(0.5, 1.0),
  brightness=0.3,
  contrast=0.3,
  saturation=0.3,
  hue=0.1,
  noise_std=0.05,
)
jitted = jax.jit(augment, static_argnums=2)


def test_everything_off_changes_nothing(photographs):
  image = photographs()
  expected = image.astype(np.float32) * np.float32(1 / 255)
  np.testing.assert_array_equal(jitted(image, KEY, AugmentOptions()), expected)


def drawn(options: AugmentOptions, count: int = 400) -> np.ndarray:
  """Inverse maps of many images of 48 x 64 pixels."""
  draws = jax.random.uniform(jax.random.key(0), (count, 12))
  return np.asarray(jax.vmap(lambda one: _draw_inverse(one, 48, 64, options))(draws))


def test_random_crops_lie_inside_and_keep_the_area_they_say():
  matrices = drawn(AugmentOptions(crop_area=(0.3, 0.8), crop_aspect=(0.5, 2.0)))
  area = matrices[:, 0, 0] * matrices[:, 1, 1]
  assert 0.25 < area.min() < 0.35
  assert 0.7 < area.max() <= 0.8001
  aspect = matrices[:, 0, 0] / matrices[:, 1, 1]
  assert aspect.min() < 0.6
  assert aspect.max() > 1.7
  # Edges of the first and last pixel, -1/2 and size - 1/2, map inside the same edges.
  for x, y in ((-0.5, -0.5), (63.5, 47.5)):
    at = matrices @ [x, y, 1]
    assert (at >= -0.501).all()
    assert (at <= [63.501, 47.501]).all()
  assert matrices[:, 0, 2].std() > 3


@pytest.mark.parametrize(
  ('options', 'measure', 'low', 'high'),
  [
    (
      AugmentOptions(rotation_deg=30),
      lambda m: np.rad2deg(np.arctan2(m[:, 1, 0], m[:, 0, 0])),
      -30,
      30,
    ),
    (AugmentOptions(scale=(0.8, 1.25)), lambda m: 1 / m[:, 0, 0], 0.8, 1.25),
    (AugmentOptions(translate=0.25), lambda m: -m[:, 0, 2] / 64, -0.25, 0.25),
    (AugmentOptions(translate=0.25), lambda m: -m[:, 1, 2] / 48, -0.25, 0.25),
    (AugmentOptions(shear_deg=20), lambda m: np.rad2deg(np.arctan(-m[:, 0, 1])), -20, 20),
  ],
  ids=['rotation', 'scale', 'translate_x', 'translate_y', 'shear'],
)
def test_strengths_are_uniform_in_the_range_they_say(options, measure, low, high):
  got = measure(drawn(options))
  span = high - low
  assert low - 1e-3 <= got.min() < low + 0.03 * span
  assert high - 0.03 * span < got.max() <= high + 1e-3
  assert np.mean(got) == pytest.approx((low + high) / 2, abs=0.06 * span)


@pytest.mark.parametrize('axes', [(), (1,), (2,), (1, 2)])
def test_flips_are_exact(photographs, axes):
  image = photographs(4)
  options = AugmentOptions(flip_horizontal=2 in axes, flip_vertical=1 in axes)
  keys = [jax.random.key(seed) for seed in range(12)]
  plain = image.astype(np.float32) * np.float32(1 / 255)
  choices = {
    subset: np.flip(plain, subset) if subset else plain
    for subset in [(), (1,), (2,), (1, 2)]
    if set(subset) <= set(axes)
  }
  seen = set()
  for key in keys:
    got = np.asarray(jitted(image, key, options))
    for row in range(4):
      equal = [s for s, want in choices.items() if np.array_equal(got[row], want[row])]
      assert len(equal) == 1
      seen.add(equal[0])
  assert seen == set(choices)


def test_colour_options_stay_within_their_strength_and_clip():
  image = np.full((256, 2, 2, 3), 128, np.uint8)
  got = np.asarray(jitted(image, KEY, AugmentOptions(brightness=0.5)))[:, 0, 0]
  np.testing.assert_allclose(got[:, 0], got[:, 1])
  factor = got[:, 0] / (128 / 255)
  assert 0.495 < factor.min() < 0.55
  assert 1.45 < factor.max() < 1.505
  white = np.full((16, 2, 2, 3), 250, np.uint8)
  assert np.asarray(jitted(white, KEY, AugmentOptions(brightness=0.5))).max() == 1.0


def test_contrast_pivots_on_the_mean_grey(photographs):
  image = photographs(4) // 4 + 40
  got = np.asarray(jitted(image, KEY, AugmentOptions(contrast=0.9)))
  luma = got @ [0.299, 0.587, 0.114]
  before = (image / 255) @ [0.299, 0.587, 0.114]
  np.testing.assert_allclose(luma.mean((1, 2)), before.mean((1, 2)), atol=0.01)
  assert (np.abs(luma.std((1, 2)) / before.std((1, 2)) - 1) > 0.05).any()


def test_noise_has_the_strength_it_says():
  image = np.full((8, 64, 64, 3), 128, np.uint8)
  noise = np.asarray(jitted(image, KEY, AugmentOptions(noise_std=0.05))) - np.float32(128 / 255)
  assert noise.std() == pytest.approx(0.05, rel=0.02)
  assert abs(noise.mean()) < 5e-4
  assert (np.abs(noise) > 0.1).mean() == pytest.approx(0.0455, rel=0.1)  # two-sigma tails
  flat = noise.reshape(8, -1, 3)
  assert abs(np.corrcoef(flat[..., 0].ravel(), flat[..., 1].ravel())[0, 1]) < 0.02
  assert abs(np.corrcoef(flat[0].ravel(), flat[1].ravel())[0, 1]) < 0.03
  assert abs(np.corrcoef(noise[:, :, 1:].ravel(), noise[:, :, :-1].ravel())[0, 1]) < 0.02


def test_draws_depend_on_key_and_row_alone(photographs):
  image = np.repeat(photographs(1), 8, axis=0)
  first = np.asarray(jitted(image, KEY, EVERYTHING))
  np.testing.assert_array_equal(first, jitted(image, KEY, EVERYTHING))
  assert (first != np.asarray(jitted(image, jax.random.key(4), EVERYTHING))).any()
  for row in range(1, 8):
    assert (first[0] != first[row]).any()
  half = np.asarray(jitted(image[:4], KEY, EVERYTHING))
  np.testing.assert_allclose(first[:4], half, atol=1e-6)


def test_turning_one_option_on_leaves_the_others_draws(photographs):
  image = photographs(8)
  flips = AugmentOptions(flip_horizontal=True)
  both = dataclasses.replace(flips, flip_vertical=True)
  first, second = (np.asarray(jitted(image, KEY, o)) for o in (flips, both))
  for row in range(8):
    assert np.array_equal(first[row], second[row]) or np.array_equal(first[row], second[row][::-1])


def test_eight_devices_equal_one(photographs):
  image = photographs(16)
  mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
  rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))
  spread = jitted(jax.device_put(image, rows), KEY, EVERYTHING)
  np.testing.assert_allclose(spread, jitted(image, KEY, EVERYTHING), atol=1e-6)


def test_one_trace_for_every_step(photographs):
  traces = []

  @jax.jit
  def step(image, key):
    traces.append(1)
    return augment(image, key, EVERYTHING)

  for seed in range(3):
    step(photographs(), jax.random.key(seed))
  assert len(traces) == 1


def test_values_stay_in_range():
  image = np.random.default_rng(0).integers(0, 256, (8, 33, 47, 3), np.uint8)
  got = np.asarray(jitted(image, KEY, EVERYTHING))
  assert got.dtype == np.float32
  assert got.min() >= 0
  assert got.max() <= 1
  assert np.isfinite(got).all()


def test_normalise():
  image = np.full((2, 2, 2, 3), 0.5, np.float32)
  got = normalise(image, (0.5, 0.25, 0.0), (0.5, 0.5, 0.25))
  np.testing.assert_allclose(got, np.broadcast_to([0, 0.5, 2], got.shape))


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'rotation_deg': -3}, r'augment.rotation_deg is -3; it must lie in 0..180'),
    ({'hue': 0.7}, r'augment.hue is 0.7; it must lie in 0..0.5'),
    ({'scale': (1.2, 0.8)}, r'augment.scale is \(1.2, 0.8\); .*0.1 <= low <= high'),
    ({'crop_area': (0.5, 1.5)}, r'augment.crop_area .*high <= 1'),
    ({'border': 'mirror'}, "augment.border is 'mirror'; it must be one of reflect"),
  ],
)
def test_impossible_strengths_are_named(changes, message):
  with pytest.raises(UserError, match=message):
    AugmentOptions(**changes)
