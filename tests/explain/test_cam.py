"""Grad-CAM against finite differences, closed forms and the published formulas."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.explain.cam import gradient_of_map, make_cam, scaled
from lesionjax.models import MODELS, build_model
from lesionjax.models.perturbed import apply_with_offset, feature_maps

SMALL = {'cnn': {'widths': (4, 8), 'dense_features': 6}, 'vgg16': {'top': 'pool'}}
SMALL['vgg16_bn'] = SMALL['vgg16']


def _filled(model, size, seed=0):
  """Variables drawn by NumPy: compiling `init` would take longer than the test."""
  image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
  shapes = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), image)
  rng = np.random.default_rng(seed)

  def draw(leaf):
    if leaf.ndim > 1:
      fan_in = max(1, leaf.size / leaf.shape[-1])
      return rng.normal(0, (1.5 / fan_in) ** 0.5, leaf.shape).astype(np.float32)
    return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)

  return jax.tree.map(draw, shapes)


def _image(size, count=2):
  return np.random.default_rng(1).normal(size=(count, *size, 3)).astype(np.float32)


@pytest.mark.parametrize('layer', ['block1_conv2', 'stride1', 'block2_norm1', 'last_map'])
def test_the_gradient_equals_finite_differences(layer):
  model = build_model('cnn', 3, **SMALL['cnn'])
  variables, image = _filled(model, (8, 12)), jnp.asarray(_image((8, 12)))
  classes = jnp.array([2, 0])
  with jax.enable_x64():
    wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), variables)
    model = model.clone(dtype=jnp.float64)
    differentiate = jax.jit(lambda v, x: gradient_of_map(model, v, x, layer, classes))
    _, activation, gradient = differentiate(wide, image)
    # Nothing is differentiable where a relu has left zeros side by side; elsewhere no relu and no
    # maximum changes sides within a step that float32 logits still resolve.
    shift = 1e-3
    way = np.random.default_rng(2).normal(size=activation.shape)
    way *= np.abs(np.asarray(activation)) > 20 * shift

    @jax.jit
    def logits(offset):
      found = apply_with_offset(model, wide, image, layer, offset)[0]
      return jnp.take_along_axis(found, classes[:, None], 1)[:, 0]

    difference = (logits(shift * way) - logits(-shift * way)) / (2 * shift)
  expected = (np.asarray(gradient) * way).sum((1, 2, 3))
  assert np.abs(expected).min() > 1e-3
  np.testing.assert_allclose(np.asarray(difference), expected, rtol=5e-3, atol=1e-3)


def test_behind_an_average_and_a_linear_head_it_is_cam():
  """Zhou et al., 2016, equation 2: the map weighted by the head's weights of the class."""
  model = build_model('resnet18', 4)
  size = (64, 96)
  variables, image = _filled(model, size), _image(size)
  classes = np.array([3, 1])
  found = make_cam(model)(variables, image, classes)
  logits, features = jax.jit(model.apply)(variables, image)
  np.testing.assert_allclose(found.logits, logits, rtol=1e-4, atol=1e-4)
  kernel = np.asarray(variables['params']['head']['kernel'])[:, classes].T
  cam = np.einsum('bhwc,bc->bhw', features['last_map'], kernel)
  np.testing.assert_allclose(np.asarray(found.raw) * cam[0].size, cam, rtol=1e-3, atol=1e-3)
  assert found.maps.shape == (2, *size)
  assert float(found.maps.min()) == 0
  assert float(found.maps.max()) == 1


def test_plus_plus_follows_its_equations():
  model = build_model('cnn', 3, **SMALL['cnn'])
  variables, image, classes = _filled(model, (8, 8)), _image((8, 8)), np.array([1, 2])
  raw = make_cam(model, 'stride1', plus_plus=True)(variables, image, classes).raw
  gradient = jax.jit(lambda v, x: gradient_of_map(model, v, x, 'stride1', classes))
  _, a, g = (np.asarray(x) for x in gradient(variables, image))
  for b in range(2):
    expected = np.zeros((8, 8))
    for c in range(a.shape[-1]):
      weight = 0.0
      for value in g[b, :, :, c].ravel():
        if value > 0:
          below = 2 * value**2 + a[b, :, :, c].sum() * value**3 + 1e-6
          weight += value**2 / below * value
      expected += weight * a[b, :, :, c]
    np.testing.assert_allclose(raw[b], expected, rtol=1e-3, atol=1e-5)


def test_a_constant_map_is_scaled_to_zero():
  np.testing.assert_array_equal(scaled(jnp.full((1, 2, 2), 3.0)), np.zeros((1, 2, 2)))
  np.testing.assert_allclose(scaled(jnp.array([[[1.0, 2.0, 5.0]]])), [[[0, 0.25, 1]]])


FAST = ('cnn', 'resnet18', 'resnet50', 'efficientnet_b0', 'vgg16_bn', 'vit_s16')


@pytest.mark.parametrize(
  'name', [name if name in FAST else pytest.param(name, marks=pytest.mark.large) for name in MODELS]
)
def test_every_model_lists_the_maps_of_its_features(name):
  arguments = SMALL.get(name, {})
  if 'remat' in MODELS[name].options:
    arguments = {**arguments, 'remat': True}
  model = build_model(name, 3, **arguments)
  image = jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.float32)
  variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), image)
  maps = feature_maps(model, variables, (64, 96))
  _, features = jax.eval_shape(model.apply, variables, image)
  assert maps['last_map'] == features['last_map'].shape[1:]
  for key, value in features.items():
    if value.ndim == 4:
      assert maps[key] == value.shape[1:], key
  assert len(maps) > 3


@pytest.mark.parametrize('name', ['cnn', 'vit_s16'])
def test_maps_at_every_kind_of_layer(name):
  model = build_model(name, 3, **SMALL.get(name, {}))
  if name == 'vit_s16':
    model = model.clone(depth=2, width=24, heads=2, grid=2)
  size = (32, 48)
  variables, image = _filled(model, size), _image(size)
  layers = ('last_map', 'patch_embedding') if name == 'vit_s16' else ('block1_norm2',)
  for layer in layers:
    found = make_cam(model, layer)(variables, image, np.array([0, 2]))
    assert np.isfinite(found.maps).all()
    assert np.abs(np.asarray(found.raw)).max() > 1e-6, layer


@pytest.mark.large
@pytest.mark.parametrize('name', ['efficientnet_b0', 'densenet121', 'vgg16_bn', 'resnet50'])
def test_maps_of_large_models(name):
  model = build_model(name, 3, **SMALL.get(name, {}))
  variables, image = _filled(model, (64, 64)), _image((64, 64))
  for layer in ('last_map', 'stride8'):
    found = make_cam(model, layer)(variables, image, np.array([0, 2]))
    assert np.abs(np.asarray(found.raw)).max() > 1e-6, layer


def test_the_map_of_tokens_lies_as_the_patches_do():
  model = build_model('vit_s16', 3).clone(depth=1, width=24, heads=2, grid=2)
  size = (32, 48)
  variables, image = _filled(model, size), _image(size)
  layers = ('patch_embedding', 'block1', 'block1/norm1', 'last_map', 'top_norm')
  maps, (_, features) = jax.jit(
    lambda v, x: (
      {layer: apply_with_offset(model, v, x, layer)[1] for layer in layers},
      model.apply(v, x),
    )
  )(variables, image)
  np.testing.assert_allclose(maps['top_norm'], features['last_map'], rtol=1e-5, atol=1e-5)
  assert all(found.shape == (2, 2, 3, 24) for found in maps.values())
  np.testing.assert_array_equal(maps['last_map'], maps['block1/norm1'])
  # Nothing reads the patch tokens behind the last attention.
  ends = jax.jit(lambda v, x: gradient_of_map(model, v, x, 'top_norm', np.array([0, 1])))
  *_, gradient = ends(variables, image)
  np.testing.assert_array_equal(gradient, np.zeros_like(gradient))


def test_recomputation_changes_nothing():
  model = build_model('vgg16', 3, top='pool').clone(remat=True)
  maps = feature_maps(model, _filled(model, (32, 32)), (32, 32))
  assert maps['stage5/conv3'] == (2, 2, 512)


def test_an_unknown_map_is_refused_with_the_nearest():
  model = build_model('cnn', 3, **SMALL['cnn'])
  variables = _filled(model, (8, 8))
  for name, near in (('block2_norm', 'block2_norm1'), ('head', 'last_map')):
    with pytest.raises(UserError, match=rf'unknown feature map {name!r}.*{near}'):
      make_cam(model, name)(variables, _image((8, 8)), np.array([0, 1]))
