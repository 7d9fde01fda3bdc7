"""The colour map against colorsys and numbers by hand."""

from __future__ import annotations

import colorsys

import numpy as np

from lesionjax.data.colour import colour_matrix


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
