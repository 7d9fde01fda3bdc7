"""The U-Net against what an equal network in PyTorch answered; see `record_reference`."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lesionjax.models.segmentation import build_segmenter
from tests.models import generated

REFERENCE = pathlib.Path(__file__).parent / 'reference' / 'unet.npz'
LEVELS, WIDTH = 3, 4
LEAVES = {'running_mean': ('batch_stats', 'mean'), 'running_var': ('batch_stats', 'var')}


def _path(name: str) -> tuple[str, ...]:
  """Where a tensor of the peer lies in ours."""
  module, _, kind = name.rpartition('.')
  if module == 'logits':
    parts: tuple[str, ...] = ('decoder_logits', 'conv')
  elif module.startswith('up.'):
    parts = (f'decoder{LEVELS - 1 - int(module[3:])}', 'up')
  else:
    found = re.fullmatch(r'(encoder|decoder)\.(\d)\.(\d)', module)
    assert found
    side, level, layer = found[1], int(found[2]), int(found[3])
    inner = f'{"norm" if layer % 3 else "conv"}{layer // 3 + 1}'
    at_encoder = (f'encoder{level + 1}', inner)
    parts = at_encoder if side == 'encoder' else (f'decoder{LEVELS - 1 - level}', 'double', inner)
  if kind in LEAVES:
    return (LEAVES[kind][0], *parts, LEAVES[kind][1])
  leaf = 'scale' if kind == 'weight' and 'norm' in parts[-1] else kind.replace('weight', 'kernel')
  return ('params', *parts, leaf)


def _ours(name: str, array: np.ndarray) -> np.ndarray:
  if array.ndim < 4:
    return array
  return array.transpose(2, 3, 0, 1) if name.startswith('up.') else array.transpose(2, 3, 1, 0)


def _loaded(reference) -> dict[str, Any]:
  variables: dict[str, Any] = {}
  for name, text in zip(reference['names'], reference['shapes'], strict=True):
    shape = tuple(int(n) for n in str(text).split('x') if n)
    if shape:
      *parts, leaf = _path(str(name))
      place = variables
      for part in parts:
        place = place.setdefault(part, {})
      place[leaf] = _ours(str(name), generated.parameter(str(name), shape))
  return variables


def _near(a, b, tolerance):
  a = np.asarray(a)
  assert a.shape == b.shape
  assert np.linalg.norm(b) > 0
  assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)


def test_unet_equals_pytorch_s():
  with np.load(REFERENCE, allow_pickle=False) as file:
    reference = dict(file)
  model = build_segmenter('unet', levels=LEVELS, width=WIDTH)
  variables = _loaded(reference)
  batch, height, width = reference['logits'].shape
  image = generated.image(batch, height, width)
  shapes = jax.eval_shape(model.init, jax.random.key(0), image)
  assert jax.tree.map(jnp.shape, variables) == jax.tree.map(lambda x: x.shape, shapes)
  logits = jax.jit(model.apply)(variables, image)[0]
  _near(logits[..., 0], reference['logits'], 1e-5)

  @jax.jit
  @jax.grad
  def gradient(params):
    (logits, _), _ = model.apply(
      {**variables, 'params': params}, image, train=True, mutable=['batch_stats']
    )
    return jnp.mean(jnp.square(logits))

  found = gradient(variables['params'])
  expected = _ours('encoder.0.0.weight', reference['first_kernel_gradient'])
  _near(found['encoder1']['conv1']['kernel'], expected, 1e-4)
  expected = _ours('up.0.weight', reference['up_kernel_gradient'])
  _near(found['decoder2']['up']['kernel'], expected, 1e-4)
  _near(found['decoder1']['up']['bias'], reference['up_bias_gradient'], 1e-4)
