"""ConvLSTM against NumPy, and the bidirectional wrapper's two directions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.models.segmentation.conv_lstm import BidirectionalConvLSTM, ConvLSTM

FEATURES = 3


def _convolved(x, kernel):
  """3x3 convolution [B,H,W,C] -> [B,H,W,D] over zero padding, pixel by pixel."""
  batch, height, width, _ = x.shape
  result = np.zeros((batch, height, width, kernel.shape[3]))
  for row in range(height):
    for column in range(width):
      for i in range(3):
        for j in range(3):
          y, z = row + i - 1, column + j - 1
          if 0 <= y < height and 0 <= z < width:
            result[:, row, column] += x[:, y, z] @ kernel[i, j]
  return result


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _reference(sequence, params):
  """Shi et al., 2015, without peepholes; gates in the order input, forget, candidate, output."""
  w, u, b = params['input']['kernel'], params['recurrent']['kernel'], params['bias']
  hidden = cell = np.zeros((*sequence[0].shape[:3], FEATURES))
  for x in sequence:
    gates = _convolved(x, w) + _convolved(hidden, u) + b
    i, f, g, o = (gates[..., k * FEATURES : (k + 1) * FEATURES] for k in range(4))
    cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
    hidden = _sigmoid(o) * np.tanh(cell)
  return hidden


def _variables(module, sequence) -> dict[str, Any]:
  """Variables of a module, every one drawn anew: zeros and ones hide mistakes."""
  shapes = jax.eval_shape(module.init, jax.random.key(0), sequence)
  rng = np.random.default_rng(1)
  return jax.tree.map(lambda x: rng.normal(0, 0.4, x.shape).astype(np.float32), shapes)


def _sequence(length, height=4, width=5, channels=2):
  rng = np.random.default_rng(2)
  return [rng.normal(size=(2, height, width, channels)).astype(np.float32) for _ in range(length)]


@pytest.mark.parametrize('length', [1, 2, 3])
def test_equals_numpy(length):
  sequence, module = _sequence(length), ConvLSTM(FEATURES)
  variables = _variables(module, _sequence(2))
  found = jax.jit(module.apply)(variables, sequence)
  np.testing.assert_allclose(found, _reference(sequence, variables['params']), atol=2e-5)


def test_forget_gate_starts_open():
  bias = jax.jit(ConvLSTM(FEATURES).init)(jax.random.key(0), _sequence(2))['params']['bias']
  np.testing.assert_array_equal(bias, [0] * FEATURES + [1] * FEATURES + [0] * 2 * FEATURES)


def test_no_scan():
  module = ConvLSTM(FEATURES)
  variables = _variables(module, _sequence(2))
  text = str(jax.make_jaxpr(module.apply)(variables, _sequence(2)))
  assert 'scan' not in text
  assert 'while' not in text


def test_reads_forwards_and_backwards():
  sequence, module = _sequence(2), BidirectionalConvLSTM(FEATURES)
  variables = _variables(module, sequence)
  params = variables['params']
  found = module.apply(variables, sequence)
  np.testing.assert_allclose(
    found[..., :FEATURES], _reference(sequence, params['forward']), atol=2e-5
  )
  np.testing.assert_allclose(
    found[..., FEATURES:], _reference(sequence[::-1], params['backward']), atol=2e-5
  )
  # Other results in the other order: neither direction sees a set of maps, or one map only.
  turned = module.apply(variables, sequence[::-1])
  assert np.abs(turned[..., :FEATURES] - found[..., :FEATURES]).max() > 0.05
  for index in (0, 1):
    other = [x + 0.5 * (i == index) for i, x in enumerate(sequence)]
    change = np.abs(module.apply(variables, other) - found).max((0, 1, 2))
    assert (change > 1e-2).all()


def test_one_direction_is_the_backward_one():
  sequence, module = _sequence(2), BidirectionalConvLSTM(FEATURES, bidirectional=False)
  variables = _variables(module, sequence)
  assert set(variables['params']) == {'backward'}
  expected = _reference(sequence[::-1], variables['params']['backward'])
  np.testing.assert_allclose(module.apply(variables, sequence), expected, atol=2e-5)


def test_both_directions_learn():
  sequence, module = _sequence(2), BidirectionalConvLSTM(FEATURES)
  variables = _variables(module, sequence)
  gradient = jax.jit(jax.grad(lambda v: jnp.sum(jnp.square(module.apply(v, sequence)))))(variables)
  assert all(np.abs(g).max() > 1e-4 for g in jax.tree.leaves(gradient))
