"""Each transform against OpenCV, colorsys or arithmetic by hand; determinism; sharding."""

from __future__ import annotations

import colorsys
import dataclasses

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.data import render as render_module
from lesionjax.data.augment import AugmentOptions, augment, normalise
from lesionjax.data.colour import colour_matrix
from lesionjax.data.render import render
from lesionjax.data.warp import compose_inverse

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
STILL = {
  'flip_horizontal': False,
  'flip_vertical': False,
  'rotation_rad': 0.0,
  'scale': 1.0,
  'shear_rad': 0.0,
  'translate_x': 0.0,
  'translate_y': 0.0,
  'crop': (0.0, 0.0, 1.0, 1.0),
}
jitted = jax.jit(augment, static_argnums=2)
rendered = jax.jit(render, static_argnums=3)


def photographs(count: int = 8, height: int = 48, width: int = 64) -> np.ndarray:
  rng = np.random.default_rng(0)
  grids = rng.uniform(0, 255, (count, 6, 8, 3)).astype(np.float32)
  images = [cv2.resize(g, (width, height), interpolation=cv2.INTER_CUBIC) for g in grids]
  return np.clip(images, 0, 255).astype(np.uint8)


def inverse(height: int, width: int, **changes) -> np.ndarray:
  return np.asarray(compose_inverse(height, width, **{**STILL, **changes}))


def levels(image: jax.Array) -> np.ndarray:
  return np.asarray(image) * 255


def test_everything_off_changes_nothing():
  image = photographs()
  expected = image.astype(np.float32) * np.float32(1 / 255)
  np.testing.assert_array_equal(jitted(image, KEY, AugmentOptions()), expected)


BORDERS = {
  'reflect': cv2.BORDER_REFLECT_101,
  'edge': cv2.BORDER_REPLICATE,
  'constant': cv2.BORDER_CONSTANT,
}


@pytest.mark.parametrize('border', BORDERS)
@pytest.mark.parametrize(
  'changes',
  [
    {'rotation_rad': 0.6},
    {'scale': 0.7},
    {'scale': 1.4},
    {'shear_rad': 0.2},
    {'translate_x': 0.21, 'translate_y': -0.13},
    {'crop': (0.1, -0.05, 0.7, 0.8)},
    {'flip_horizontal': True, 'rotation_rad': -2.0, 'scale': 0.9, 'shear_rad': -0.1},
  ],
  ids=lambda changes: '+'.join(changes),
)
def test_warp_equals_opencv(border, changes):
  images = photographs(3)
  matrix = inverse(48, 64, **changes)
  got = levels(rendered(jnp.asarray(images), jnp.asarray([matrix] * 3), None, border))
  for image, one in zip(images, got, strict=True):
    expected = cv2.warpAffine(
      image.astype(np.float32),
      matrix,
      (64, 48),
      flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
      borderMode=BORDERS[border],
    )
    # OpenCV rounds positions to 1/32 pixel, which shows where the image is steep.
    assert np.abs(one - expected).max() < 8
    assert np.abs(one - expected).mean() < 0.5


def test_warp_equals_float64_arithmetic():
  """The same sample without OpenCV's rounding of positions: a fraction of a grey level."""
  image = photographs(1)[0]
  matrix = inverse(48, 64, rotation_rad=0.4, scale=1.1).astype(np.float64)
  y, x = np.mgrid[:48, :64]
  source_x, source_y = np.einsum('ij,jhw->ihw', matrix, np.stack([x, y, np.ones_like(x)]))
  inside = (source_x > 0) & (source_x < 62.9) & (source_y > 0) & (source_y < 46.9)
  column, row = np.clip(source_x.astype(int), 0, 62), np.clip(source_y.astype(int), 0, 46)
  right, below = (source_x - column)[..., None], (source_y - row)[..., None]
  tap = lambda dy, dx: image[row + dy, column + dx].astype(np.float64)  # noqa: E731
  expected = (tap(0, 0) * (1 - right) + tap(0, 1) * right) * (1 - below)
  expected += (tap(1, 0) * (1 - right) + tap(1, 1) * right) * below
  got = levels(rendered(jnp.asarray(image[None]), jnp.asarray(matrix[None]), None, 'reflect'))[0]
  assert inside.mean() > 0.5
  assert np.abs(got - expected)[inside].max() < 0.6
  assert np.abs(got - expected)[inside].mean() < 0.1


def test_rotation_turns_as_opencv_says():
  matrix = cv2.getRotationMatrix2D((31.5, 23.5), 30, 1.25)  # counter-clockwise, zooming in
  got = inverse(48, 64, rotation_rad=np.deg2rad(30), scale=1.25)
  np.testing.assert_allclose(got, cv2.invertAffineTransform(matrix), atol=1e-4)


def test_translation_moves_right_and_down():
  image = np.zeros((1, 40, 40, 3), np.uint8)
  image[0, 10, 20] = 200
  matrix = inverse(40, 40, translate_x=0.1, translate_y=0.25)
  got = levels(rendered(jnp.asarray(image), jnp.asarray(matrix[None]), None, 'edge'))
  assert got[0, 20, 24].tolist() == pytest.approx([200] * 3, abs=1e-3)
  assert got.sum() == pytest.approx(600, abs=0.1)


def test_a_crop_fills_the_frame():
  got = inverse(41, 81, crop=(0.25, 0.0, 0.5, 1.0))
  centre, edge = got @ [40, 20, 1], got @ [80, 20, 1]
  np.testing.assert_allclose(centre, [40 + 0.25 * 81, 20], atol=1e-4)
  np.testing.assert_allclose(edge - centre, [20, 0], atol=1e-4)


@pytest.mark.parametrize('axes', [(), (1,), (2,), (1, 2)])
def test_flips_are_exact(axes):
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


def jitter(image01: np.ndarray, **changes) -> np.ndarray:
  arguments = {'mean_grey': 0.5, 'brightness': 1.0, 'contrast': 1.0, 'saturation': 1.0}
  matrix = np.asarray(colour_matrix(**{**arguments, 'hue_rad': 0.0, **changes}))
  return image01 @ matrix[:, :3].T + matrix[:, 3]


def test_brightness_contrast_saturation_by_hand():
  pixel = np.array([0.2, 0.4, 0.6])
  grey = 0.2 * 0.299 + 0.4 * 0.587 + 0.6 * 0.114  # 0.363
  np.testing.assert_allclose(jitter(pixel), pixel, atol=1e-6)
  np.testing.assert_allclose(jitter(pixel, brightness=1.5), [0.3, 0.6, 0.9], atol=1e-6)
  np.testing.assert_allclose(jitter(pixel, contrast=0.5), [0.35, 0.45, 0.55], atol=1e-6)
  want = 0.25 * pixel + 0.75 * grey
  np.testing.assert_allclose(jitter(pixel, saturation=0.25), want, atol=1e-6)
  # In order: 0.2, 0.4, 0.6 -> times 2 -> about 2 * 0.5 with factor 1/2 -> half way to grey.
  bright = np.array([0.7, 0.9, 1.1])
  want = 0.5 * bright + 0.5 * (bright @ [0.299, 0.587, 0.114])
  got = jitter(pixel, brightness=2.0, contrast=0.5, saturation=0.5)
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_hue_turns_chroma_as_in_colorsys():
  angle = 0.7
  for pixel in np.random.default_rng(0).uniform(0.3, 0.7, (20, 3)):
    luma, i, q = colorsys.rgb_to_yiq(*pixel)
    turned = complex(i, q) * np.exp(1j * angle)
    got = jitter(pixel, hue_rad=angle)
    # colorsys rounds its constants to two digits, hence the tolerance.
    np.testing.assert_allclose(
      colorsys.rgb_to_yiq(*got), (luma, turned.real, turned.imag), atol=5e-3
    )


def test_colour_options_stay_within_their_strength_and_clip():
  image = np.full((256, 2, 2, 3), 128, np.uint8)
  got = np.asarray(jitted(image, KEY, AugmentOptions(brightness=0.5)))[:, 0, 0]
  np.testing.assert_allclose(got[:, 0], got[:, 1])
  factor = got[:, 0] / (128 / 255)
  assert 0.495 < factor.min() < 0.55
  assert 1.45 < factor.max() < 1.505
  white = np.full((16, 2, 2, 3), 250, np.uint8)
  assert np.asarray(jitted(white, KEY, AugmentOptions(brightness=0.5))).max() == 1.0


def test_contrast_pivots_on_the_mean_grey():
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


def test_draws_depend_on_key_and_row_alone():
  image = np.repeat(photographs(1), 8, axis=0)
  first = np.asarray(jitted(image, KEY, EVERYTHING))
  np.testing.assert_array_equal(first, jitted(image, KEY, EVERYTHING))
  assert (first != np.asarray(jitted(image, jax.random.key(4), EVERYTHING))).any()
  for row in range(1, 8):
    assert (first[0] != first[row]).any()
  half = np.asarray(jitted(image[:4], KEY, EVERYTHING))
  np.testing.assert_allclose(first[:4], half, atol=1e-6)


def test_turning_one_option_on_leaves_the_others_draws():
  image = photographs(8)
  flips = AugmentOptions(flip_horizontal=True)
  both = dataclasses.replace(flips, flip_vertical=True)
  first, second = (np.asarray(jitted(image, KEY, o)) for o in (flips, both))
  for row in range(8):
    assert np.array_equal(first[row], second[row]) or np.array_equal(first[row], second[row][::-1])


def test_eight_devices_equal_one():
  image = photographs(16)
  mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
  rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))
  spread = jitted(jax.device_put(image, rows), KEY, EVERYTHING)
  np.testing.assert_allclose(spread, jitted(image, KEY, EVERYTHING), atol=1e-6)


@pytest.mark.parametrize('border', BORDERS)
def test_chunks_and_the_plain_formulation_agree(border, monkeypatch):
  image = jnp.asarray(photographs(6))
  matrices = jnp.asarray([inverse(48, 64, rotation_rad=0.3 * i) for i in range(6)])
  colour = jnp.asarray([np.eye(3, 4) * (0.7 + 0.1 * i) for i in range(6)], jnp.float32)
  plain = render_module._warp(image, matrices, colour, border=border, apart=False)
  monkeypatch.setattr(render_module, '_CHUNK_PIXELS', 2 * 48 * 64)
  words = render_module._in_chunks(
    lambda *a: render_module._warp(*a, border=border, apart=True), image, matrices, colour
  )
  np.testing.assert_array_equal(words, plain)


def test_one_trace_for_every_step():
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
