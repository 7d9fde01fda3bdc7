"""Training metrics of an epoch against scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics

from lesionjax.training import tally


def test_equals_scikit_learn_over_batches():
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 4, (5, 16))
  logits = rng.normal(size=(5, 16, 4)).astype(np.float32)
  loss = rng.random((5, 16)).astype(np.float32)
  sums = tally.empty(4)
  for batch in range(5):
    sums = jax.jit(tally.add)(sums, loss[batch], jnp.asarray(logits[batch]), labels[batch])
  found = tally.summarise(jax.device_get(sums), ('a', 'b', 'c', 'd'))
  true, predicted = labels.ravel(), logits.argmax(-1).ravel()
  assert found['loss'] == pytest.approx(loss.mean(), rel=1e-5)
  assert found['accuracy'] == pytest.approx(metrics.accuracy_score(true, predicted))
  assert found['balanced_accuracy'] == pytest.approx(
    metrics.balanced_accuracy_score(true, predicted)
  )
  recalls = metrics.recall_score(true, predicted, average=None)
  assert [found[f'recall/{name}'] for name in 'abcd'] == pytest.approx(list(recalls))


def test_absent_class_is_left_out():
  sums = tally.add(tally.empty(3), jnp.ones(2), jnp.eye(3)[:2], jnp.array([0, 0]))
  found = tally.summarise(jax.device_get(sums), ('a', 'b', 'c'))
  assert found['balanced_accuracy'] == 0.5
  assert 'recall/c' not in found
