"""The three-block network, which timm has not, against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from lesionjax.models import build_model

_EPSILON = 1e-5


def _reference(variables, image, widths):
  """Last map, pre-logits and logits in float64: a loop over taps, as the text describes it."""
  params, stats = variables['params'], variables['batch_stats']
  x = last_map = np.asarray(image, np.float64)
  for block in range(1, len(widths) + 1):
    for index in (1, 2):
      kernel = np.asarray(params[f'block{block}_conv{index}']['kernel'], np.float64)
      height, width = x.shape[1:3]
      padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
      x = sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)
      )
      norm, seen = params[f'block{block}_norm{index}'], stats[f'block{block}_norm{index}']
      mean, var, scale, bias = (
        np.asarray(leaf, np.float64)
        for leaf in (seen['mean'], seen['var'], norm['scale'], norm['bias'])
      )
      x = np.maximum((x - mean) / np.sqrt(var + _EPSILON) * scale + bias, 0)
    last_map = x
    x = np.max([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)
  dense, head = params['dense'], params['head']
  pre_logits = np.maximum(x.reshape(len(x), -1) @ dense['kernel'] + dense['bias'], 0)
  return last_map, pre_logits, pre_logits @ head['kernel'] + head['bias']


def test_logits_and_features_equal_numpy_s():
  widths = (8, 16, 24)
  model = build_model('cnn', 5, widths=widths, dense_features=12)
  image = jax.random.normal(jax.random.key(0), (2, 16, 24, 3))
  variables = jax.jit(model.init)(jax.random.key(1), image)
  leaves, tree = jax.tree.flatten(variables)
  keys = jax.random.split(jax.random.key(2), len(leaves))
  # Positive, so that variances are; around 1 for scales, kernels as drawn.
  drawn = [
    leaf if leaf.ndim > 1 else jax.random.uniform(key, leaf.shape, minval=0.5, maxval=1.5)
    for key, leaf in zip(keys, leaves, strict=True)
  ]
  variables = jax.tree.unflatten(tree, drawn)
  logits, features = jax.jit(model.apply)(variables, image)
  expected = _reference(variables, image, widths)
  for got, want in zip(
    (features['last_map'], features['pre_logits'], logits), expected, strict=True
  ):
    assert got.dtype == jnp.float32
    assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()
