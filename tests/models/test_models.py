"""Every entry of the table: shapes, parameter counts, dtypes, statistics, devices."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.models import MODELS, build_model
from lesionjax.models.densenet import DenseNet
from lesionjax.models.efficientnet import EfficientNet, scaled_width
from lesionjax.models.heads import HEADS
from lesionjax.models.layers import stochastic_depth
from lesionjax.models.resnet import ResNet
from lesionjax.models.vit import ViT

# torchvision and timm with 1,000 classes.
PARAMETERS = {
  'resnet18': 11_689_512,
  'resnet34': 21_797_672,
  'resnet50': 25_557_032,
  'efficientnet_b0': 5_288_548,
  'efficientnet_b1': 7_794_184,
  'efficientnet_b2': 9_109_994,
  'efficientnet_b3': 12_233_232,
  'efficientnet_b4': 19_341_616,
  'efficientnet_b5': 30_389_784,
  'efficientnet_b6': 43_040_704,
  'efficientnet_b7': 66_347_960,
  'densenet121': 7_978_856,
  'vgg16': 138_357_544,
  'vgg16_bn': 138_365_992,
  'vit_s16': 22_050_664,
  'vit_b16': 86_567_656,
}
BIG = ('b1', 'b3', 'b4', 'b5', 'b6', 'b7')
# Channels of the last map and of the pre-logits, where they are not 512; the map's stride.
WIDTHS = {
  'cnn': (128, 128),
  'resnet50': (2048, 2048),
  'efficientnet_b0': (1280, 1280),
  'efficientnet_b2': (1408, 1408),
  'densenet121': (1024, 1024),
  'vgg16': (512, 4096),
  'vit_s16': (384, 384),
}
STRIDES = {'cnn': 4, 'vgg16': 16, 'vit_s16': 16}
# One or two of a family say it for all: tracing is what takes the time here.
VARIED = ['resnet18', *WIDTHS]
# Every family with its dimensions cut down, so that it compiles in a second.
SMALL = {
  'resnet': ResNet(num_classes=3, depths=(1, 1)),
  'efficientnet': EfficientNet(num_classes=3, width=0.2, depth=0.6),
  'densenet': DenseNet(num_classes=3, depths=(1, 2), growth=4),
  'vit': ViT(num_classes=3, width=8, depth=2, heads=2, grid=2),
}


def _shapes(model, size, train=False):
  image = jnp.zeros((2, size, size, 3))
  variables = jax.eval_shape(lambda: model.init(jax.random.key(0), image))
  return variables, jax.eval_shape(lambda v: model.apply(v, image, train=train), variables)


@pytest.mark.parametrize(
  'name', [pytest.param(n, marks=[pytest.mark.slow] * (n[-2:] in BIG)) for n in PARAMETERS]
)
def test_parameter_count_is_the_reference_s(name):
  variables, _ = _shapes(build_model(name, 1000), 64)
  assert sum(x.size for x in jax.tree.leaves(variables['params'])) == PARAMETERS[name]


def test_every_entry_s_count_is_known():
  assert set(PARAMETERS) | {'cnn'} == set(MODELS)


@pytest.mark.parametrize('name', VARIED)
def test_shapes_and_dtypes(name):
  size = 75
  model = build_model(name, 5, dtype=jnp.bfloat16)
  variables, (logits, features) = _shapes(model, size)
  assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
  assert set(variables['params']['head']) == {'kernel', 'bias'}
  assert (logits.shape, logits.dtype) == ((2, 5), jnp.float32)
  map_width, width = WIDTHS.get(name, (512, 512))
  stride = STRIDES.get(name, 32)
  # Poolings drop an odd last row; strided convolutions and patches keep it.
  side = size // stride if name in ('cnn', 'vgg16', 'densenet121') else -(-size // stride)
  assert features['last_map'].shape == (2, side, side, map_width)
  assert features['last_map'].dtype == jnp.bfloat16
  assert features['pre_logits'].shape == (2, width)


@pytest.mark.parametrize('name', VARIED)
def test_any_number_of_channels_and_no_image_below_the_stride(name):
  model = build_model(name, 5)
  smallest = MODELS[name].stride
  image = jnp.zeros((1, smallest, smallest, 4))
  (logits, _), _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), image))
  assert logits.shape == (1, 5)
  with pytest.raises(UserError, match=f'at least {smallest} px'):
    jax.eval_shape(lambda: model.init(jax.random.key(0), image[:, 1:]))


@pytest.mark.parametrize(
  ('name', 'head'),
  [*(('cnn', head) for head in HEADS), ('resnet18', 'mlp_256'), ('vit_s16', 'mlp_512_256')],
)
def test_heads_stand_on_the_same_backbone(name, head):
  plain, _ = _shapes(build_model(name, 5), 32)
  variables, (logits, features) = _shapes(build_model(name, 5, head=head), 32)
  assert logits.shape == (2, 5)
  widths = [features['pre_logits'].shape[-1], *(width for width, _ in HEADS[head]), 5]
  kernels = {x.shape for x in jax.tree.leaves(variables['params'].pop('head')) if x.ndim == 2}
  assert kernels == set(itertools.pairwise(widths))
  plain['params'].pop('head')
  assert jax.tree.structure(plain) == jax.tree.structure(variables)


@pytest.mark.parametrize('family', SMALL)
def test_every_family_takes_head_remat_and_stochastic_depth(family):
  image = jnp.zeros((2, 32, 32, 3))
  model = SMALL[family].clone(head='mlp_256', stochastic_depth=0.5, remat=True)
  variables = jax.eval_shape(lambda: model.init(jax.random.key(0), image))
  assert set(variables['params']['head']) == {'dense1', 'out'}
  step = functools.partial(model.apply, train=True, mutable=['batch_stats'])
  plain = SMALL[family].clone(head='mlp_256', dropout=0.0, stochastic_depth=0.5)
  assert jax.tree.structure(jax.eval_shape(plain.init, jax.random.key(0), image)) == (
    jax.tree.structure(variables)
  )
  rngs = {'dropout': jax.random.key(0)}
  jaxpr = jax.make_jaxpr(functools.partial(step, rngs=rngs))(variables, image)
  names = {equation.primitive.name for equation in jaxpr.eqns}
  assert names & {'remat', 'remat2', 'checkpoint'}
  # Evaluation draws nothing.
  jax.eval_shape(plain.apply, variables, image)
  without_mlp = SMALL[family].clone(dropout=0.0, stochastic_depth=0.5)
  variables = jax.eval_shape(without_mlp.init, jax.random.key(0), image)
  with pytest.raises(flax.errors.InvalidRngError):
    jax.eval_shape(
      lambda v: without_mlp.apply(v, image, train=True, mutable=['batch_stats']), variables
    )


def test_remat_changes_no_gradient():
  image = jax.random.normal(jax.random.key(1), (2, 32, 32, 3))
  variables: Any = jax.jit(SMALL['vit'].init)(jax.random.key(0), image)
  results = []
  for remat in (False, True):
    model = SMALL['vit'].clone(remat=remat)
    step = jax.grad(lambda v, model=model: jnp.sum(jnp.square(model.apply(v, image)[0])))
    results.append(jax.jit(step)(variables))
  for a, b in zip(*map(jax.tree.leaves, results), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_stochastic_depth_drops_whole_images_and_scales_the_others():
  class Branch(nn.Module):
    @nn.compact
    def __call__(self, x, train):
      return stochastic_depth(x, 0.25, train)

  x = jnp.ones((4000, 2, 2, 3))
  kept = np.asarray(Branch().apply({}, x, True, rngs={'dropout': jax.random.key(0)}))
  assert set(np.unique(kept)) == {np.float32(0), np.float32(1 / 0.75)}
  assert (np.ptp(kept, axis=(1, 2, 3)) == 0).all()
  assert abs((kept[:, 0, 0, 0] > 0).mean() - 0.75) < 0.03
  np.testing.assert_array_equal(Branch().apply({}, x, False), x)


def test_scaled_widths_are_those_of_the_official_table():
  assert [scaled_width(n, 1.1) for n in (32, 16, 24, 40, 80, 112, 192, 320, 1280)] == [
    32, 16, 24, 48, 88, 120, 208, 352, 1408,
  ]  # fmt: skip


def test_position_embedding_is_untouched_at_its_own_size():
  model = SMALL['vit']
  image = jax.random.normal(jax.random.key(1), (1, 32, 32, 3))
  variables: Any = jax.jit(model.init)(jax.random.key(0), image)
  params = dict(variables['params'])
  params['position_embedding'] = params['position_embedding'].at[:, 1].add(3.0)
  first, second = (model.apply({'params': p}, image)[1] for p in (variables['params'], params))
  changed = np.abs(first['last_map'] - second['last_map']).max(-1)[0]
  assert changed.argmax() == 0


@pytest.mark.parametrize('name', ['cnn'])
def test_bfloat16_stays_near_float32(name):
  image = jax.random.normal(jax.random.key(1), (4, 32, 32, 3))
  exact, coarse = (build_model(name, 5, dtype=d) for d in (jnp.float32, jnp.bfloat16))
  variables = jax.jit(exact.init)(jax.random.key(0), image)
  a = jax.jit(exact.apply)(variables, image)[0]
  b = jax.jit(coarse.apply)(variables, image)[0]
  assert float(jnp.abs(a - b).max()) <= 0.05 * float(jnp.abs(a).max()) + 0.02


def test_training_statistics_are_the_batch_s():
  model = build_model('cnn', 3, widths=(4,), dropout=0.0)
  image = 2 + 3 * jax.random.normal(jax.random.key(1), (8, 8, 8, 3))
  variables: Any = jax.jit(model.init)(jax.random.key(0), image)
  new: Any = jax.jit(lambda v: model.apply(v, image, train=True, mutable=['batch_stats'])[1])(
    variables
  )
  kernel = variables['params']['block1_conv1']['kernel']
  x = jax.lax.conv_general_dilated(
    image, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  stats = new['batch_stats']['block1_norm1']
  np.testing.assert_allclose(stats['mean'], 0.1 * np.mean(x, (0, 1, 2)), rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(stats['var'], 0.9 + 0.1 * np.var(x, (0, 1, 2)), rtol=1e-4)


def test_dropout_needs_and_uses_its_stream():
  model = build_model('cnn', 3, widths=(4,))
  image = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))
  variables: Any = jax.jit(model.init)(jax.random.key(0), image)
  logits = [
    model.apply(
      variables, image, train=True, mutable=['batch_stats'], rngs={'dropout': jax.random.key(i)}
    )[0][0]
    for i in (0, 0, 1)
  ]
  np.testing.assert_array_equal(logits[0], logits[1])
  assert not np.array_equal(logits[0], logits[2])


@pytest.mark.parametrize('zero', [True, False])
def test_blocks_start_as_the_identity_unless_told_otherwise(zero):
  model = ResNet(num_classes=3, depths=(1,), zero_init_last=zero)
  params = jax.jit(model.init)(jax.random.key(0), jnp.ones((1, 32, 32, 3)))['params']
  scale = params['stage1_block1']['norm2']['scale']
  np.testing.assert_array_equal(scale, 0.0 if zero else 1.0)


@pytest.mark.parametrize(('name', 'word'), [('resnet81', 'resnet18'), ('zzz', 'cnn')])
def test_unknown_model_names_the_known_ones(name, word):
  with pytest.raises(UserError, match=word):
    build_model(name, 3)


def test_bad_arguments_are_named():
  with pytest.raises(UserError, match=r"'depth'.*dropout"):
    build_model('resnet18', 3, depth=4)
  with pytest.raises(UserError, match='num_classes'):
    build_model('resnet18', 0)
  with pytest.raises(UserError, match=r"'mlp_12'.*mlp_512_256"):
    build_model('resnet18', 3, head='mlp_12')
  with pytest.raises(UserError, match='top'):
    _shapes(build_model('vgg16', 3, top='conv'), 32)
