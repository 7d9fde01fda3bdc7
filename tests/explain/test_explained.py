"""Every method of explanation on a run that was trained."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lesionjax
from data_builders.errors import UserError
from lesionjax.explain.explained import ExplainedRun
from lesionjax.models.perturbed import apply_with_offset
from lesionjax.runs import assembly


@functools.cache
def _opened(run):
  return ExplainedRun(run, batch_size=4)


@pytest.fixture
def explained(run):
  """The run of all tests, opened once: what it has compiled serves the next test."""
  return _opened(run)


PIXELS = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
CLASSES = np.array([0, 1, 2, 3, 4, 5])


def test_maps_are_of_the_image_and_of_the_class(explained):
  assert explained.feature_maps()['last_map'] == (8, 8, 8)
  for method in ('gradcam', 'gradcam++'):
    maps = explained.cam(PIXELS, CLASSES, 'block1_norm2', method)
    assert maps.shape == (6, 16, 16)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    assert maps.max() <= 1
  assert maps.max() > 0.5
  # A last batch that is not full, and images by themselves, make no difference.
  alone = explained.cam(PIXELS[5:], CLASSES[5:], 'block1_norm2', 'gradcam++')
  np.testing.assert_allclose(alone[0], maps[5], atol=1e-5)


def test_integrated_gradients_sum_to_the_difference_of_the_logits(explained):
  found = explained.integrated_gradients(PIXELS, CLASSES, steps=256, baseline='black')
  rows = np.arange(6)
  logits = explained.logits(PIXELS)[rows, CLASSES]
  black = explained.logits(np.zeros_like(PIXELS))[rows, CLASSES]
  np.testing.assert_allclose(found.sum((1, 2)), logits - black, atol=0.02 * np.abs(logits).max())


def test_occlusion_falls_where_it_matters(explained):
  found = explained.occlusion(PIXELS, CLASSES, patch_px=16, stride_px=1)
  mean = np.float32(255 * np.asarray(explained.classifier.config.normalise.mean))
  grey = np.broadcast_to(np.round(mean).astype(np.uint8), PIXELS.shape)
  rows = np.arange(6)
  expected = (explained.logits(PIXELS) - explained.logits(grey))[rows, CLASSES]
  np.testing.assert_allclose(found[:, 3, 5], expected, atol=0.05)


def test_activations_are_those_of_the_network(explained):
  image = assembly.make_prepare(explained.classifier.config)(jnp.asarray(PIXELS), None)
  model = explained.classifier.model
  expected = apply_with_offset(model, explained.weights, image, 'stride1')[1]
  found = explained.activations(PIXELS, 'stride1')
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(explained.activation(PIXELS, 'stride1'), found.mean(-1))
  np.testing.assert_allclose(explained.activation(PIXELS, 'stride1', 7), found[..., 7])
  with pytest.raises(UserError, match='no channel 8'):
    explained.activation(PIXELS, 'stride1', 8)


def test_other_weights_give_other_answers(explained):
  other = explained.with_weights(jax.tree.map(lambda leaf: leaf * 0.5, explained.weights))
  assert np.abs(other.logits(PIXELS) - explained.logits(PIXELS)).max() > 1e-3
  np.testing.assert_array_equal(
    explained.logits(PIXELS), ExplainedRun(explained.classifier, 4).logits(PIXELS)
  )


def test_what_cannot_be_explained_is_refused(explained, segmenter):
  for other in (segmenter, lesionjax.load(str(segmenter))):
    with pytest.raises(UserError, match="run of task 'segment'"):
      ExplainedRun(other)
  with pytest.raises(UserError, match='unknown feature map'):
    explained.cam(PIXELS, CLASSES, 'block9')
  with pytest.raises(UserError, match='unknown method'):
    explained.cam(PIXELS, CLASSES, method='scorecam')
  with pytest.raises(UserError, match='no image'):
    explained.logits(PIXELS[:0])
