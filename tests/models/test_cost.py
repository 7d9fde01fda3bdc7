"""Parameters and operations against the numbers that torchvision and the papers publish."""

import pytest

from lesionjax.models import build_model
from lesionjax.models.cost import count


# Millions of parameters; billions of multiply-adds at 224 px: torchvision's model pages, and for
# EfficientNet and ViT the tables of their papers and of timm.
@pytest.mark.parametrize(
  ('name', 'params', 'gmac'),
  [
    ('resnet18', 11.690, 1.81),
    ('resnet50', 25.557, 4.09),
    # The literature's 2.834, less three quarters of three transitions of .103 each: a mean over
    # 2x2 pixels and a 1x1 convolution may change places.
    ('densenet121', 7.979, 2.834 - 3 * 0.75 * 0.1028),
    ('vgg16', 138.358, 15.47),
    ('efficientnet_b0', 5.289, 0.39),
    ('vit_s16', 22.051, 4.6),
  ],
)
def test_counts_of_the_literature(name, params, gmac):
  found, gflop = count(build_model(name, 1000), 224)
  assert found / 1e6 == pytest.approx(params, abs=0.001)
  assert gflop / 2 == pytest.approx(gmac, rel=0.015)


def test_a_small_network_by_hand():
  model = build_model('cnn', 7, widths=(4,), dense_features=8)
  found, gflop = count(model, 16)
  # 16x16 pixels, two 3x3 convolutions (3 to 4 and 4 to 4 channels), 8x8 pixels after the pooling.
  convolutions = 2 * 16 * 16 * 9 * (3 * 4 + 4 * 4)
  dense = 2 * (8 * 8 * 4 * 8 + 8 * 7)
  assert gflop == pytest.approx((convolutions + dense) / 1e9)
  assert found == 9 * 12 + 9 * 16 + 8 * 8 * 4 * 8 + 8 * 7 + 15 + found_norms(model)


def found_norms(model):
  """Scale and bias of two norms on 4 channels; biases of the convolutions where there are any."""
  import jax
  import jax.numpy as jnp

  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)), train=False)
  )['params']
  return sum(
    leaf.size
    for name, group in shapes.items()
    if name.startswith('block')
    for leaf in jax.tree.leaves(group)
    if leaf.ndim == 1
  )
