"""One device and eight give the same loss, gradients and statistics, from one trace."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from lesionjax.models import build_model
from lesionjax.models.depthwise import depthwise_conv
from lesionjax.models.resnet import ResNet


@pytest.mark.parametrize('name', ['cnn', 'resnet'])
def test_eight_devices_compute_what_one_does(name):
  if jax.device_count() < 8:
    pytest.skip('needs 8 devices: jax_num_cpu_devices=8')
  if name == 'cnn':
    model = build_model('cnn', 3, dropout=0.0, widths=(16, 16))
  else:
    model = ResNet(num_classes=3, depths=(1,))
  size = 16 if name == 'cnn' else 32
  image = jax.random.normal(jax.random.key(1), (16, size, size, 3))
  variables = jax.jit(model.init)(jax.random.key(0), image)
  traces = []

  def step(variables, image):
    traces.append(name)

    def loss(params):
      (logits, _), new = model.apply(
        {**variables, 'params': params}, image, train=True, mutable=['batch_stats']
      )
      return jnp.mean(jnp.square(logits - 1)), new

    return jax.value_and_grad(loss, has_aux=True)(variables['params'])

  mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
  whole = NamedSharding(mesh, PartitionSpec())
  split = NamedSharding(mesh, PartitionSpec('data'))
  (one, one_stats), one_gradient = jax.jit(step)(variables, image)
  compiled = jax.jit(step, in_shardings=(whole, split), out_shardings=whole)
  for _ in range(2):
    (many, many_stats), many_gradient = compiled(
      jax.device_put(variables, whole), jax.device_put(image, split)
    )
  assert len(traces) == 2
  np.testing.assert_allclose(one, many, rtol=1e-5)
  for a, b in (one_stats, many_stats), (one_gradient, many_gradient):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
      np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5 + 1e-4 * float(jnp.abs(x).max()))


def test_depthwise_convolution_is_split_over_devices_without_gathering_the_batch():
  if jax.device_count() < 8:
    pytest.skip('needs 8 devices: jax_num_cpu_devices=8')
  x = jax.random.normal(jax.random.key(0), (16, 9, 8, 5))
  kernel = jax.random.normal(jax.random.key(1), (3, 3, 1, 5))

  def step(x, kernel):
    def loss(x, kernel):
      return jnp.mean(jnp.square(depthwise_conv(x, kernel, 2, ((1, 1), (0, 1)))))

    return jax.value_and_grad(loss, (0, 1))(x, kernel)

  mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
  whole = NamedSharding(mesh, PartitionSpec())
  split = NamedSharding(mesh, PartitionSpec('data'))
  compiled = jax.jit(step, in_shardings=(split, whole), out_shardings=(whole, (split, whole)))
  many = compiled(jax.device_put(x, split), jax.device_put(kernel, whole))
  for a, b in zip(jax.tree.leaves(jax.jit(step)(x, kernel)), jax.tree.leaves(many), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
  assert 'all-gather' not in compiled.lower(x, kernel).compile().as_text()
