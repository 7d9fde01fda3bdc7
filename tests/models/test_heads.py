"""Heads of cosines against NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.models.heads import COSINE_SCALE
from lesionjax.models.parts import Head


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_a_cosine_head_measures_angles(dtype):
  x = np.random.default_rng(0).normal(size=(6, 7)) * 4
  x = np.asarray(jnp.asarray(x, dtype), np.float64)
  head = Head(3, 'cosine')
  variables = head.init(jax.random.key(0), jnp.asarray(x, dtype))
  kernel = np.asarray(variables['params']['head']['kernel'], np.float64)
  lengths = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(kernel, axis=0)
  logits, _ = head.apply(variables, jnp.asarray(x, dtype))
  assert logits.dtype == jnp.float32
  np.testing.assert_allclose(logits, COSINE_SCALE * x @ kernel / lengths, rtol=1e-4, atol=1e-4)
  longer, _ = head.apply(variables, jnp.asarray(8 * x, dtype))
  np.testing.assert_allclose(longer, logits, rtol=1e-4, atol=1e-4)


def test_features_that_are_all_zero_have_a_gradient():
  head, x = Head(3, 'mlp_512_256_cosine'), jnp.zeros((2, 4))
  variables = head.init(jax.random.key(0), x)
  assert set(variables['params']['head']['out']) == {'kernel'}
  gradient = jax.grad(lambda v: head.apply(v, x)[0].sum())(variables)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
