"""One step of a phase: what moves, what stays bit-equal, what it costs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from lesionjax.models import build_model
from lesionjax.models.layers import BatchNorm
from lesionjax.models.parts import head_of
from lesionjax.training.cached import on_features
from lesionjax.training.checkpoints import shapes
from lesionjax.training.classify import make_task
from lesionjax.training.freezing import split
from lesionjax.training.optimiser import make_optimiser
from lesionjax.training.supervised import Settings

HEAD = frozenset({'head/kernel', 'head/bias'})


def prepare(image, key):
  return image.astype(jnp.float32) / 255.0


def make(model, prepare=prepare, **options):
  settings = base.get_config().optimiser
  settings.weight_decay = 0.1
  tx = make_optimiser(settings, lambda step: 0.01, clip_norm=1.0)
  return make_task(model, 3, Settings(tx, lambda step: 0.01, **options), prepare)


class Tiny(nn.Module):
  """Two blocks of dense layer, batch norm and dropout; compiles in no time."""

  num_classes: int = 3
  head: str = 'linear'
  dropout: float = 0.5

  @nn.compact
  def __call__(self, image, train=False):
    x = image.reshape(len(image), -1)
    for block in ('block1', 'block2'):
      x = nn.Dropout(self.dropout, deterministic=not train, name=f'{block}_dropout')(x)
      x = nn.Dense(6, name=f'{block}_dense')(x)
      x = nn.relu(BatchNorm(name=f'{block}_norm')(x, train))
    features = {'pre_logits': x}
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    return nn.Dense(self.num_classes, name='head')(x), features


@pytest.fixture(scope='module')
def model():
  return Tiny()


@pytest.fixture(scope='module')
def batch():
  rng = np.random.default_rng(0)
  return {
    'image': jnp.asarray(rng.integers(0, 256, (8, 2, 2, 3)), jnp.uint8),
    'label': jnp.asarray(rng.integers(0, 3, 8), jnp.int32),
  }


def run(task, batch, steps=3):
  step, state = jax.jit(task.train_step), jax.jit(task.init)(jax.random.key(0), batch)
  first, metrics = state, {}
  for number in range(steps):
    state, metrics = step(state, batch, jax.random.key(number))
  return first, state, metrics


def equal_paths(one, other):
  same = jax.tree.map(lambda a, b: bool((np.asarray(a) == np.asarray(b)).all()), one, other)
  leaves = jax.tree_util.tree_leaves_with_path(same)
  return {'/'.join(key.key for key in path) for path, leaf in leaves if leaf}


@pytest.mark.parametrize('options', [{}, {'accumulate': 2}, {'ema_decay': 0.9}])
def test_what_is_frozen_stays_bit_equal_and_the_rest_moves(model, batch, options):
  first, last, _ = run(make(model, trainable=HEAD, **options), batch)
  assert equal_paths(first.params, last.params) == set(shapes(first.params)) - HEAD
  assert equal_paths(first.batch_stats, last.batch_stats) == set(shapes(first.batch_stats))
  if last.ema:
    assert equal_paths(last.ema, first.params) == set(shapes(first.params)) - HEAD


def test_a_block_that_trains_takes_its_own_statistics(model, batch):
  paths = frozenset(
    path for path in shapes(jax.eval_shape(make(model).init, jax.random.key(0), batch).params)
    if path.startswith(('block2', 'head'))
  )  # fmt: skip
  first, last, _ = run(make(model, trainable=paths), batch)
  assert not equal_paths(first.params, last.params) & paths
  assert all(path.startswith('block1') for path in equal_paths(first.params, last.params))
  still = equal_paths(first.batch_stats, last.batch_stats)
  assert still == {path for path in shapes(first.batch_stats) if path.startswith('block1')}


def test_the_optimiser_holds_nothing_of_what_is_frozen(model, batch):
  first, _, _ = run(make(model, trainable=HEAD), batch, steps=0)
  sizes = sorted(leaf.size for leaf in jax.tree.leaves(first.opt_state) if leaf.ndim)
  head = sorted(leaf.size for leaf in jax.tree.leaves(first.params['head']))
  assert sizes == sorted(2 * head)  # first and second moment


def test_statistics_drift_where_they_are_asked_to(model, batch):
  first, last, _ = run(make(model, trainable=HEAD, freeze_batch_stats=False), batch)
  assert equal_paths(first.params, last.params) == set(shapes(first.params)) - HEAD
  assert not equal_paths(first.batch_stats, last.batch_stats)


def test_the_gradient_is_the_part_of_the_whole_one(batch):
  # With dropout off and statistics that do not matter, freezing only leaves gradients out.
  model = Tiny(dropout=0.0)
  whole, part = make(model, freeze_batch_stats=False), make(model, trainable=HEAD)
  state = whole.init(jax.random.key(0), batch)

  def loss(head):
    logits, _ = model.apply(
      {'params': {**state.params, 'head': head}, 'batch_stats': state.batch_stats},
      prepare(batch['image'], None),
      train=False,
    )
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), batch['label'][:, None], 1).mean()

  grads = jax.grad(loss)(state.params['head'])
  norm = np.sqrt(sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(grads)))
  _, metrics = part.train_step(part.init(jax.random.key(0), batch), batch, jax.random.key(1))
  assert metrics['grad_norm'] == pytest.approx(norm, rel=1e-5)


def flops(task, batch):
  state = jax.eval_shape(task.init, jax.random.key(0), batch)
  return jax.jit(task.train_step).lower(state, batch, jax.random.key(0)).cost_analysis()['flops']


def test_a_frozen_backbone_costs_no_backward_pass():
  model = build_model('resnet18', 3)
  batch = {'image': np.zeros((4, 32, 32, 3), np.uint8), 'label': np.zeros(4, np.int32)}
  assert flops(make(model, trainable=HEAD), batch) < 0.4 * flops(make(model), batch)


def test_training_on_features_equals_training_on_images(model, batch):
  whole = make(model, trainable=HEAD)
  head = make(head_of(model), prepare=lambda x, key: x, trainable=HEAD)
  cached = on_features(whole, head)
  first, _, _ = run(whole, batch, steps=0)
  features = whole.eval_step(first.weights, batch)['pre_logits']
  stored = {'features': features, 'label': batch['label']}
  one, other = first, first
  for number in range(3):
    one, metrics = jax.jit(whole.train_step)(one, batch, jax.random.key(number))
    other, metrics_other = jax.jit(cached.train_step)(other, stored, jax.random.key(number))
    for name, value in metrics.items():
      assert metrics_other[name] == pytest.approx(float(value), rel=1e-4)
  assert jax.tree.structure(one) == jax.tree.structure(other)
  for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
  np.testing.assert_allclose(
    cached.eval_step(other.weights, stored)['logits'],
    whole.eval_step(other.weights, batch)['logits'],
    rtol=1e-4, atol=1e-5,
  )  # fmt: skip


def test_start_takes_the_weights_and_begins_the_rest_anew(model, batch):
  first, last, _ = run(make(model, ema_decay=0.9), batch)
  task = make(model, trainable=HEAD, ema_decay=0.9)
  weights = last.weights
  state = jax.jit(task.start)(weights['params'], weights['batch_stats'], last.step)
  assert int(state.step) == 3
  for tree in (state.params, state.ema):
    assert equal_paths(tree, last.ema) == set(shapes(first.params))
  assert all(not np.asarray(leaf).any() for leaf in jax.tree.leaves(state.opt_state))
  assert split(state.params, HEAD)[0].keys() == {'head'}
