"""Image and mask under one geometry: a picture of the mask stays on the mask, whatever moves it."""

from __future__ import annotations

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.data import render as render_module
from lesionjax.data.augment import AugmentOptions, augment, augment_with_mask
from lesionjax.data.render import render, render_with_mask
from lesionjax.data.warp import compose_inverse

KEY = jax.random.key(3)
COLOURFUL = {'brightness': 0.3, 'contrast': 0.3, 'saturation': 0.3, 'hue': 0.1, 'noise_std': 0.05}
TRANSFORMS = {
  'flip_h': {'flip_horizontal': True},
  'flip_v': {'flip_vertical': True},
  'quarter_turns': {'quarter_turns': True},
  'rotation': {'rotation_deg': 180.0},
  'scale': {'scale': (0.6, 1.8)},
  'translate': {'translate': 0.3},
  'shear': {'shear_deg': 30.0},
  'crop': {'crop_area': (0.3, 0.9)},
}
EVERYTHING = AugmentOptions(
  flip_horizontal=True,
  flip_vertical=True,
  rotation_deg=40,
  scale=(0.8, 1.3),
  translate=0.1,
  shear_deg=10,
  crop_area=(0.5, 1.0),
  **COLOURFUL,
)
jitted = jax.jit(augment_with_mask, static_argnums=3)


def lesions(count: int, height: int, width: int) -> np.ndarray:
  """Lopsided outlines, uint8 [count, height, width] of 0 and 1, one of them across the edge."""
  masks = np.zeros((count, height, width), np.uint8)
  for i, mask in enumerate(masks):
    centre = (width * (0.35 + 0.1 * (i % 3)), height * 0.4 if i else height * 0.05)
    cv2.ellipse(mask, (centre, (width * 0.5, height * 0.3), 20.0 * i + 10), 1, cv2.FILLED)
    top, left = round(height * 0.3), round(width * 0.6)
    mask[top : top + height // 4, left : left + width // 5] = 1  # no symmetry to hide a flip
  return masks


def pictures(masks: np.ndarray) -> np.ndarray:
  return np.repeat(masks[..., None] * np.uint8(255), 3, axis=-1)


@pytest.mark.parametrize(
  ('transform', 'border', 'height', 'width'),
  [(name, 'reflect', 112, 148) for name in TRANSFORMS]
  + [('rotation', 'constant', 128, 128), ('translate', 'edge', 128, 128)],
)
def test_a_picture_of_the_mask_stays_on_the_mask(transform, border, height, width):
  masks = lesions(6, height, width)
  options = AugmentOptions(border=border, **TRANSFORMS[transform])
  image, mask = (np.asarray(x) for x in jitted(pictures(masks), masks, KEY, options))
  assert mask.dtype == np.uint8
  assert mask.shape == masks.shape
  assert set(np.unique(mask)) == {0, 1}
  assert (mask != masks).any()
  drawn = image[..., 0] >= 0.5
  both, either = (drawn & (mask == 1)).sum((1, 2)), (drawn | (mask == 1)).sum((1, 2))
  assert (either > 100).all()
  assert (both / either > 0.98).all()


@pytest.mark.parametrize('border', ['reflect', 'edge', 'constant'])
def test_equals_opencv_nearest_neighbour(border):
  modes = {
    'reflect': cv2.BORDER_REFLECT_101,
    'edge': cv2.BORDER_REPLICATE,
    'constant': cv2.BORDER_CONSTANT,
  }
  masks = lesions(3, 90, 120)
  turn = {'flip_horizontal': True, 'flip_vertical': False, 'shear_rad': 0.1, 'scale': 0.8}
  move = {'translate_x': 0.1, 'translate_y': -0.05, 'crop': (0.0, 0.0, 1.0, 1.0)}
  matrix = np.asarray(compose_inverse(90, 120, rotation_rad=0.5, **turn, **move))
  matrices = jnp.asarray([matrix] * 3)
  _, got = render_with_mask(pictures(masks), masks, matrices, None, border)
  flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
  for mask, one in zip(masks, np.asarray(got), strict=True):
    expected = cv2.warpAffine(mask, matrix, (120, 90), flags=flags, borderMode=modes[border])
    assert expected.any()
    # Both round positions, so that single pixels on the outline fall to the other side.
    assert (one != expected).mean() < 0.003


@pytest.mark.parametrize(
  'options',
  [AugmentOptions(), AugmentOptions(**COLOURFUL), AugmentOptions(rotation_deg=20), EVERYTHING],
  ids=['off', 'colour', 'rotation', 'everything'],
)
def test_the_image_is_what_it_is_without_a_mask(photographs, options):
  image, masks = photographs(), lesions(8, 48, 64)
  with_mask, _ = jitted(image, masks, KEY, options)
  alone = jax.jit(augment, static_argnums=2)(image, KEY, options)
  np.testing.assert_array_equal(with_mask, alone)


def test_colour_and_noise_leave_the_mask_alone(photographs):
  masks = lesions(8, 48, 64)
  for strength in ({}, COLOURFUL):
    _, mask = jitted(photographs(), masks, KEY, AugmentOptions(**strength))
    np.testing.assert_array_equal(mask, masks)
  geometry = {'rotation_deg': 30.0, 'flip_horizontal': True}
  plain, colourful = (
    jitted(photographs(), masks, KEY, AugmentOptions(**geometry, **strength))[1]
    for strength in ({}, COLOURFUL)
  )
  np.testing.assert_array_equal(plain, colourful)


@pytest.mark.parametrize('dtype', [bool, np.uint8])
def test_whatever_is_not_zero_is_lesion(photographs, dtype):
  masks = lesions(8, 48, 64)
  options = AugmentOptions(flip_horizontal=True)
  got = jitted(photographs(), (masks * np.uint8(255)).astype(dtype), KEY, options)[1]
  np.testing.assert_array_equal(got, jitted(photographs(), masks, KEY, options)[1])


def test_beyond_the_image_the_border_decides():
  masks = np.ones((4, 40, 40), np.uint8)
  shrunk = {'scale': (0.5, 0.5)}
  for border, share in (('reflect', 1.0), ('edge', 1.0), ('constant', 0.25)):
    options = AugmentOptions(border=border, **shrunk)
    _, mask = jitted(pictures(masks), masks, KEY, options)
    assert np.mean(mask) == pytest.approx(share, abs=0.02)


def test_chunks_and_the_plain_formulation_agree(photographs, monkeypatch):
  image, masks = jnp.asarray(photographs(6)), jnp.asarray(lesions(6, 48, 64))
  draws = jax.random.normal(KEY, (6, 2, 3)) * jnp.array([0.3, 0.3, 5.0])
  matrices = draws + jnp.eye(2, 3)
  plain = render_module._warp(image, matrices, None, masks, border='constant', apart=False)
  monkeypatch.setattr(render_module, '_CHUNK_PIXELS', 2 * 48 * 64)
  words = render_module._in_chunks(
    lambda *a: render_module._warp(*a, border='constant', apart=True), image, matrices, None, masks
  )
  np.testing.assert_array_equal(words, plain)


def test_eight_devices_equal_one(photographs):
  image, masks = photographs(16), lesions(16, 48, 64)
  mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
  rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))
  spread = jitted(jax.device_put(image, rows), jax.device_put(masks, rows), KEY, EVERYTHING)
  for got, expected in zip(spread, jitted(image, masks, KEY, EVERYTHING), strict=True):
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_mask_of_another_size_is_refused(photographs):
  with pytest.raises(ValueError, match='does not lie on image'):
    render_with_mask(photographs(2), np.zeros((2, 48, 48), np.uint8), None, None, 'edge')


def test_the_warp_of_a_wide_image_is_the_one_of_a_narrow_image(photographs):
  """592x448 is wider than high: turning by a quarter swaps the axes without stretching."""
  image = photographs(1, height=48, width=64)
  still = {'flip_horizontal': False, 'flip_vertical': False, 'scale': 1.0, 'shear_rad': 0.0}
  move = {'translate_x': 0.0, 'translate_y': 0.0, 'crop': (0.0, 0.0, 1.0, 1.0)}
  matrix = compose_inverse(48, 64, rotation_rad=np.pi / 2, **still, **move)
  got = np.asarray(render(image, matrix[None], None, 'constant'))[0, :, 8:56]
  expected = np.rot90(image[0, :, 8:56]) / 255
  np.testing.assert_allclose(got, expected, atol=2 / 255)


def test_quarter_turns_move_every_pixel_exactly():
  masks = lesions(32, 48, 48)
  options = AugmentOptions(quarter_turns=True)
  images, turned = jitted(pictures(masks), masks, KEY, options)
  found = np.asarray(turned)
  counts = np.zeros(4, int)
  for before, after, image in zip(masks, found, np.asarray(images), strict=True):
    fits = [np.array_equal(after, np.rot90(before, turns)) for turns in range(4)]
    assert sum(fits) == 1
    counts[fits.index(True)] += 1
    np.testing.assert_array_equal(image, np.repeat(after[..., None], 3, -1))
  assert counts.min() >= 2
