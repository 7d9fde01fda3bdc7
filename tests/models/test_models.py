"""Every entry of the table: shapes, parameter counts, dtypes, statistics, devices."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.models import MODELS, build_model
from lesionjax.models.resnet import ResNet

# torchvision and timm with 1,000 classes.
PARAMETERS = {'resnet18': 11_689_512, 'resnet34': 21_797_672, 'resnet50': 25_557_032}


def _shapes(model, size, train=False):
  image = jnp.zeros((2, size, size, 3))
  variables = jax.eval_shape(lambda: model.init(jax.random.key(0), image))
  return variables, jax.eval_shape(lambda v: model.apply(v, image, train=train), variables)


@pytest.mark.parametrize('name', PARAMETERS)
def test_parameter_count_is_the_reference_s(name):
  variables, _ = _shapes(build_model(name, 1000), 64)
  assert sum(x.size for x in jax.tree.leaves(variables['params'])) == PARAMETERS[name]


@pytest.mark.parametrize('size', [32, 64, 75, 224])
@pytest.mark.parametrize('name', MODELS)
def test_shapes_and_dtypes(name, size):
  model = build_model(name, 5, dtype=jnp.bfloat16)
  variables, (logits, features) = _shapes(model, size)
  assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
  assert set(variables['params']['head']) == {'kernel', 'bias'}
  assert (logits.shape, logits.dtype) == ((2, 5), jnp.float32)
  width = {'cnn': 128, 'resnet50': 2048}.get(name, 512)
  side = size // 4 if name == 'cnn' else -(-size // 32)
  assert features['last_map'].shape == (2, side, side, width)
  assert features['last_map'].dtype == jnp.bfloat16
  assert features['pre_logits'].shape == (2, width)


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
  params = jax.jit(model.init)(jax.random.key(0), jnp.ones((1, 16, 16, 3)))['params']
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
  with pytest.raises(UserError, match='8 px'):
    _shapes(build_model('cnn', 3), 7)
