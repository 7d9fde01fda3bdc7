"""Geometry against OpenCV, float64 arithmetic and numbers by hand."""

from __future__ import annotations

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.data import render as render_module
from lesionjax.data.render import render
from lesionjax.data.warp import compose_inverse

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
rendered = jax.jit(render, static_argnums=3)


def inverse(height: int, width: int, **changes) -> np.ndarray:
  return np.asarray(compose_inverse(height, width, **{**STILL, **changes}))


def levels(image: jax.Array) -> np.ndarray:
  return np.asarray(image) * 255


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
def test_warp_equals_opencv(photographs, border, changes):
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


def test_warp_equals_float64_arithmetic(photographs):
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


@pytest.mark.parametrize('border', BORDERS)
def test_chunks_and_the_plain_formulation_agree(photographs, border, monkeypatch):
  image = jnp.asarray(photographs(6))
  matrices = jnp.asarray([inverse(48, 64, rotation_rad=0.3 * i) for i in range(6)])
  colour = jnp.asarray([np.eye(3, 4) * (0.7 + 0.1 * i) for i in range(6)], jnp.float32)
  plain = render_module._warp(image, matrices, colour, border=border, apart=False)
  monkeypatch.setattr(render_module, '_CHUNK_PIXELS', 2 * 48 * 64)
  words = render_module._in_chunks(
    lambda *a: render_module._warp(*a, border=border, apart=True), image, matrices, colour
  )
  np.testing.assert_array_equal(words, plain)
