"""What a model costs: parameters and arithmetic, counted from its traced program."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def count(model: nn.Module, size_px: int) -> tuple[int, float]:
  """Counts a forward pass of one RGB image in evaluation mode.

  Multiplications and additions of convolutions and products are counted, one each; everything else
  (normalisation, activations, pooling) is a few per cent more. Many papers count a multiplication
  and its addition as one.

  Args:
    model: a classifier.
    size_px: height and width of the image.

  Returns:
    params: number of parameters.
    gflop: billions of operations an image.
  """
  image = jax.ShapeDtypeStruct((1, size_px, size_px, 3), jnp.float32)
  variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), image)
  params = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
  traced = jax.make_jaxpr(lambda v, x: model.apply(v, x, train=False))(variables, image)
  return params, _operations(traced.jaxpr) / 1e9


def _operations(jaxpr: Any) -> int:
  """Sums over a program and the programs inside it."""
  total = 0
  for equation in jaxpr.eqns:
    if equation.primitive.name == 'conv_general_dilated':
      kernel = equation.invars[1].aval
      out_channels = kernel.shape[equation.params['dimension_numbers'].rhs_spec[0]]
      total += 2 * equation.outvars[0].aval.size * kernel.size // out_channels
    elif equation.primitive.name == 'dot_general':
      (contracted, _), _ = equation.params['dimension_numbers']
      depth = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
      total += 2 * equation.outvars[0].aval.size * depth
    elif equation.primitive.name == 'cond':
      # The forms of one operation for several platforms; the plain one comes last.
      total += _operations(equation.params['branches'][-1].jaxpr)
    else:
      for value in equation.params.values():
        inner = getattr(value, 'jaxpr', value)  # a closed program, or an open one
        if hasattr(inner, 'eqns'):
          total += _operations(inner)
  return total
