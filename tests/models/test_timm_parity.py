"""ResNet-18 against timm's with generated weights; runs where the extra `bench` is installed."""

from __future__ import annotations

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.models import build_model

pytestmark = [
  pytest.mark.bench,
  pytest.mark.skipif(
    importlib.util.find_spec('timm') is None, reason="needs pip install -e '.[bench]'"
  ),
  pytest.mark.filterwarnings('ignore'),
]


def _generated(variables):
  """Weights drawn by a fixed rule: the names' order seeds them, their sizes scale them."""
  leaves, structure = jax.tree.flatten(variables)
  rng = np.random.default_rng(0)
  drawn = []
  for leaf in leaves:
    if leaf.ndim > 1:
      fan_in = leaf.size / leaf.shape[-1]
      drawn.append(rng.normal(0, (1 / fan_in) ** 0.5, leaf.shape).astype(np.float32))
    else:
      drawn.append(rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32))
  return jax.tree.unflatten(structure, drawn)


def _timm_names(depths):
  """Pairs (our module path, timm's module name)."""
  yield ('stem_conv',), 'conv1'
  yield ('stem_norm',), 'bn1'
  yield ('head',), 'fc'
  for stage, depth in enumerate(depths, 1):
    for block in range(depth):
      ours, theirs = f'stage{stage}_block{block + 1}', f'layer{stage}.{block}'
      for i in (1, 2):
        yield (ours, f'conv{i}'), f'{theirs}.conv{i}'
        yield (ours, f'norm{i}'), f'{theirs}.bn{i}'
      if stage > 1 and block == 0:
        yield (ours, 'shortcut_conv'), f'{theirs}.downsample.0'
        yield (ours, 'shortcut_norm'), f'{theirs}.downsample.1'


def _to_timm(variables, torch):
  state = {}
  for path, name in _timm_names((2, 2, 2, 2)):
    params, stats = variables['params'], variables['batch_stats']
    for part in path:
      params, stats = params[part], stats.get(part, {})
    arrays = {'bias': params.get('bias'), 'weight': params.get('scale')}
    if 'kernel' in params:
      kernel = params['kernel']
      arrays['weight'] = kernel.T if kernel.ndim == 2 else kernel.transpose(3, 2, 0, 1)
    arrays |= {'running_mean': stats.get('mean'), 'running_var': stats.get('var')}
    for key, array in arrays.items():
      if array is not None:
        state[f'{name}.{key}'] = torch.from_numpy(np.ascontiguousarray(array))
  return state


@pytest.mark.parametrize('size', [64, 75])
def test_resnet18_equals_timm(size):
  from benchmarks import peers

  torch, timm = peers.load_torch(), peers.load_timm()
  model = build_model('resnet18', 7)
  image = np.random.default_rng(1).normal(size=(4, size, size, 3)).astype(np.float32)
  shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, size, size, 3))))
  variables = _generated(shapes)
  logits, features = jax.jit(model.apply)(variables, image)

  peer = timm.create_model('resnet18', pretrained=False, num_classes=7).eval()
  loaded = peer.load_state_dict(_to_timm(variables, torch), strict=False)
  assert not loaded.unexpected_keys
  assert all('num_batches_tracked' in key for key in loaded.missing_keys)
  with torch.no_grad():
    last_map = peer.forward_features(torch.from_numpy(image.transpose(0, 3, 1, 2)))
    expected = peer.forward_head(last_map).numpy()
  last_map = last_map.numpy().transpose(0, 2, 3, 1)
  for a, b in ((features['last_map'], last_map), (logits, expected)):
    assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()

  # The same loss has the same gradient, train-mode statistics included.
  def loss(params):
    (logits, _), _ = model.apply(
      {**variables, 'params': params}, image, train=True, mutable=['batch_stats']
    )
    return jnp.mean(jnp.square(logits))

  ours = _to_timm(
    {'params': jax.jit(jax.grad(loss))(variables['params']), 'batch_stats': {}}, torch
  )
  peer.train()
  torch.mean(torch.square(peer(torch.from_numpy(image.transpose(0, 3, 1, 2))))).backward()
  for name, parameter in peer.named_parameters():
    b = parameter.grad.numpy()
    # In the norm: a relu at its corner may fall on either side.
    assert np.linalg.norm(ours[name].numpy() - b) <= 1e-2 * np.linalg.norm(b), name
