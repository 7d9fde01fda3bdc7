"""The PyTorch pair of the GAN benchmark is the published one: as many weights, the same images."""

from __future__ import annotations

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import peer_gan
from lesionjax.models.generation import build_gan

pytestmark = [
  pytest.mark.bench,
  pytest.mark.skipif(
    importlib.util.find_spec('torch') is None, reason="needs pip install -e '.[bench]'"
  ),
]
SIZE, LATENT, WIDTHS, JUDGE_WIDTHS = 16, 8, (8, 6, 5, 4), (4, 5, 6)


def test_parameters_are_those_of_the_publication():
  generator, judge = peer_gan.build(7, 64, 128)
  counts = [sum(p.numel() for p in module.parameters()) for module in (generator, judge)]
  assert counts == [2_804_099, 704_961]


def put(module, arrays):
  """Sets parameters and buffers of a module by their names."""
  import torch

  state = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
  missing = module.load_state_dict(state, strict=False)
  assert not missing.unexpected_keys
  assert all('num_batches_tracked' in key for key in missing.missing_keys)


def kernel(ours):
  return ours.transpose(3, 2, 0, 1)  # of a convolution: out, in, height, width


def generator_names(p, stats):
  side = SIZE // 8
  # The map that the dense layer makes has its channels first there.
  dense = p['dense']['kernel'].reshape(LATENT, side, side, -1).transpose(3, 1, 2, 0)
  bias = p['dense']['bias'].reshape(side, side, -1).transpose(2, 0, 1)
  yield 'label.weight', p['label']['embedding']
  yield 'dense.weight', dense.reshape(-1, LATENT)
  yield 'dense.bias', bias.reshape(-1)
  for number in (1, 2, 3):
    at, up, norm = 3 * (number - 1), p[f'up{number}'], p[f'norm{number}']
    yield f'body.{at}.weight', up['kernel'].transpose(2, 3, 0, 1)  # in, out, height, width
    yield f'body.{at}.bias', up['bias']
    yield f'body.{at + 1}.weight', norm['scale']
    yield f'body.{at + 1}.bias', norm['bias']
    yield f'body.{at + 1}.running_mean', stats[f'norm{number}']['mean']
    yield f'body.{at + 1}.running_var', stats[f'norm{number}']['var']
  yield 'body.9.weight', kernel(p['image']['kernel'])
  yield 'body.9.bias', p['image']['bias']


def judge_names(p):
  side = SIZE // 8
  logit = p['logit']['kernel'].reshape(side, side, -1).transpose(2, 0, 1).reshape(1, -1)
  yield 'label.weight', p['label']['embedding']
  for number in (1, 2, 3):
    yield f'body.{3 * (number - 1)}.weight', kernel(p[f'down{number}']['kernel'])
    yield f'body.{3 * (number - 1)}.bias', p[f'down{number}']['bias']
  yield 'logit.weight', logit
  yield 'logit.bias', p['logit']['bias']


def test_with_our_weights_it_draws_and_judges_as_ours():
  import torch

  model = build_gan('published', 3, SIZE, LATENT, widths=WIDTHS, discriminator_widths=JUDGE_WIDTHS)
  shape = jax.ShapeDtypeStruct((2, SIZE, SIZE, 3), jnp.float32)
  like = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), shape)
  rng = np.random.default_rng(0)
  variables = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), like)
  for norm in variables['batch_stats']['generator'].values():
    norm['var'] = np.abs(norm['var'])
  latent, label = rng.normal(size=(4, LATENT)).astype(np.float32), np.array([0, 2, 1, 0])
  image = model.apply(variables, latent, label, False, method='generate')
  logit = model.apply(variables, image, label, False, method='discriminate')

  generator, judge = peer_gan.build(3, SIZE, LATENT, WIDTHS, JUDGE_WIDTHS)
  params, stats = variables['params'], variables['batch_stats']
  put(generator, dict(generator_names(params['generator'], stats['generator'])))
  put(judge, dict(judge_names(params['discriminator'])))
  with torch.no_grad():
    theirs = generator.eval()(torch.from_numpy(latent), torch.from_numpy(label))
    judged = judge.eval()(theirs, torch.from_numpy(label))
  np.testing.assert_allclose(theirs.numpy().transpose(0, 2, 3, 1), image, atol=1e-4)
  np.testing.assert_allclose(judged.numpy(), logit, rtol=1e-3, atol=1e-3)
