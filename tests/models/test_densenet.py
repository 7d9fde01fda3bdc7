"""Dense blocks against the textbook form: plain norms that each see the whole concatenated map."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lesionjax.models import layers
from lesionjax.models.densenet import DenseNet


class PlainLayer(nn.Module):
  """A dense layer of flax's own modules."""

  @nn.compact
  def __call__(self, x, train):
    norm = {'use_running_average': not train, 'momentum': 0.9, 'epsilon': 1e-5}
    x = nn.relu(nn.BatchNorm(**norm, name='norm1')(x))
    x = nn.Conv(16, (1, 1), use_bias=False, name='conv1')(x)
    x = nn.relu(nn.BatchNorm(**norm, name='norm2')(x))
    return nn.Conv(4, (3, 3), use_bias=False, name='conv2')(x)


class PlainDenseNet(nn.Module):
  """The same network as `DenseNet`, one concatenation and one pooling after another."""

  depths: tuple[int, ...]

  @nn.compact
  def __call__(self, image, train):
    norm = {'use_running_average': not train, 'momentum': 0.9, 'epsilon': 1e-5}
    x = nn.Conv(8, (7, 7), (2, 2), ((3, 3), (3, 3)), use_bias=False, name='stem_conv')(image)
    x = nn.relu(nn.BatchNorm(**norm, name='stem_norm')(x))
    x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
    for block, depth in enumerate(self.depths, 1):
      if block > 1:
        x = nn.relu(nn.BatchNorm(**norm, name=f'transition{block - 1}_norm')(x))
        name = f'transition{block - 1}_conv'
        x = nn.Conv(x.shape[-1] // 2, (1, 1), use_bias=False, name=name)(x)
        x = nn.avg_pool(x, (2, 2), (2, 2))
      for index in range(1, depth + 1):
        x = jnp.concatenate((x, PlainLayer(name=f'block{block}_layer{index}')(x, train)), -1)
    x = nn.relu(nn.BatchNorm(**norm, name='top_norm')(x))
    return nn.Dense(3, name='head')(jnp.mean(x, (1, 2)))


def _step(call, variables):
  def loss(params):
    logits, new = call({**variables, 'params': params})
    return jnp.sum(jnp.sin(logits)), (logits, new['batch_stats'])

  gradient, (logits, stats) = jax.jit(jax.grad(loss, has_aux=True))(variables['params'])
  return {'gradient': gradient, 'logits': logits, 'batch_stats': stats}


def test_shared_moments_and_gradients_equal_those_of_plain_norms():
  image = jnp.asarray(np.random.default_rng(0).normal(size=(3, 44, 52, 3)), jnp.float32)
  ours, plain = DenseNet(3, (2, 3), growth=4), PlainDenseNet((2, 3))
  variables = jax.jit(ours.init)(jax.random.key(0), image)
  draw = np.random.default_rng(1)
  variables = jax.tree.map(
    lambda a: a + 0.1 * draw.normal(size=a.shape).astype(np.float32), variables
  )

  def ours_call(variables):
    (logits, _), new = ours.apply(variables, image, train=True, mutable=['batch_stats'])
    return logits, new

  def plain_call(variables):
    return plain.apply(variables, image, True, mutable=['batch_stats'])

  results = _step(ours_call, variables), _step(plain_call, variables)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5), *results)
  np.testing.assert_allclose(
    ours.apply(variables, image)[0], plain.apply(variables, image, False), rtol=1e-4, atol=1e-5
  )


def test_norm_takes_the_moments_it_is_given():
  x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5, 6)) + 2, jnp.float32)
  norm = layers.BatchNorm()
  variables = norm.init(jax.random.key(0), x, True)
  alone = norm.apply(variables, x, True, mutable=['batch_stats'])
  given = norm.apply(variables, x, True, layers.batch_moments(x), mutable=['batch_stats'])
  jax.tree.map(np.testing.assert_array_equal, given, alone)
