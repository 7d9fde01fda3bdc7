"""Patterns over parameters, trees cut in two, and the calls of a network that are frozen."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.models import MODELS, build_model, parts
from lesionjax.models.frozen import evaluating, frozen_calls
from lesionjax.training import freezing
from lesionjax.training.checkpoints import shapes

PATHS = ['head/bias', 'head/kernel', 'stem/kernel', 'stage1/conv/kernel']


def test_patterns_match_whole_paths():
  assert freezing.select(PATHS, ['head/.*'], [], 'p') == {'head/bias', 'head/kernel'}
  assert freezing.select(PATHS, ['.*/kernel', 'head/bias'], [], 'p') == set(PATHS)
  with pytest.raises(UserError, match=r"p\.trainable: the pattern 'head' matches no whole path"):
    freezing.select(PATHS, ['head'], [], 'p')


def test_every_parameter_belongs_to_one_group():
  assert freezing.select(PATHS, ['head/.*'], ['st.*'], 'p') == {'head/bias', 'head/kernel'}
  with pytest.raises(UserError, match=r"'stem/kernel' belongs to neither of p\.trainable"):
    freezing.select(PATHS, ['head/.*'], ['stage1/.*'], 'p')
  with pytest.raises(UserError, match=r"'head/kernel' belongs to both of p\.trainable"):
    freezing.select(PATHS, ['head/.*'], ['.*/kernel'], 'p')
  with pytest.raises(UserError, match=r"p\.frozen: the pattern 'x' matches no"):
    freezing.select(PATHS, ['.*'], ['x'], 'p')
  with pytest.raises(UserError, match=r"p\.trainable: '\(' is not a regular expression"):
    freezing.select(PATHS, ['('], [], 'p')
  with pytest.raises(UserError, match=r'p\.trainable is empty'):
    freezing.select(PATHS, [], [], 'p')


def test_merge_undoes_split():
  tree = {'a': {'x': 1, 'y': 2}, 'b': {'z': {'w': 3}}, 'c': 4}
  inside, outside = freezing.split(tree, frozenset({'a/x', 'c'}))
  assert inside == {'a': {'x': 1}, 'c': 4}
  assert outside == {'a': {'y': 2}, 'b': {'z': {'w': 3}}}
  assert freezing.merge(inside, outside) == tree
  assert freezing.split(tree, None) == (tree, {})


class Block(nn.Module):
  @nn.compact
  def __call__(self, x, train):
    x = nn.Dense(4, name='dense')(x)
    return nn.Dropout(0.5, deterministic=not train)(x)


class Network(nn.Module):
  """A dropout in front of everything, inside both blocks, between them and before the head."""

  @nn.compact
  def __call__(self, x, train=False):
    x = nn.Dropout(0.5, deterministic=not train)(x)
    x = Block(name='one')(x, train)
    x = nn.Dropout(0.5, deterministic=not train)(x)
    x = nn.remat(Block, static_argnums=2)(name='two')(x, train)
    x = nn.Dropout(0.5, deterministic=not train)(x)
    return nn.Dense(2, name='head')(x), {}


@pytest.mark.parametrize(
  ('trained', 'dropouts'),
  [
    ('head', {'Dropout_0', 'one/Dropout_0', 'Dropout_1', 'two/Dropout_0'}),
    ('two', {'Dropout_0', 'one/Dropout_0', 'Dropout_2'}),
    ('one', {'two/Dropout_0', 'Dropout_1', 'Dropout_2'}),
  ],
)
def test_a_dropout_belongs_to_what_it_feeds(trained, dropouts):
  model, x = Network(), jnp.ones((1, 4))
  variables = model.init(jax.random.key(0), x)
  paths = {path for path in shapes(variables['params']) if path.startswith(trained)}
  calls = frozen_calls(model, variables, x, frozenset(paths))
  assert {call for call in calls if 'Dropout' in call} == dropouts
  assert {'one', 'two', 'head'} - calls == {trained}


def test_a_frozen_part_is_as_in_evaluation():
  model, x = Network(), jax.random.normal(jax.random.key(1), (3, 4))
  variables = model.init(jax.random.key(0), x)
  head = frozenset({'head/kernel', 'head/bias'})
  calls = frozen_calls(model, variables, x, head) | {'Dropout_2'}
  with evaluating(calls):
    logits, _ = model.apply(variables, x, train=True)  # without a key: nothing may be drawn
  np.testing.assert_array_equal(logits, model.apply(variables, x)[0])


def test_the_last_block_of_every_model_is_known_and_matches():
  for name in {spec.constructor: name for name, spec in MODELS.items()}.values():
    model = build_model(name, 2)
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    paths = list(shapes(variables['params']))
    found = freezing.select(paths, (*parts.last_block(model), *parts.HEAD), (), name)
    assert len(found) < len(paths)
  with pytest.raises(UserError, match='is not defined for Network'):
    parts.last_block(Network())


def test_the_head_alone_is_the_head_of_every_model():
  for name in {spec.constructor: name for name, spec in MODELS.items()}.values():
    model = build_model(name, 2)
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    init = jax.eval_shape(model.init_with_output, jax.random.key(0), image)
    (_, features), variables = init
    alone = jax.eval_shape(parts.head_of(model).init, jax.random.key(0), features['pre_logits'])
    assert shapes(alone['params']['head']) == shapes(variables['params']['head'])
    assert set(alone['params']) == {'head'}
