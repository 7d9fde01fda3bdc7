"""Shapes, sizes, parameters and mistakes of every segmenter."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.models import build_model
from lesionjax.models.segmentation import SEGMENTERS, build_segmenter
from lesionjax.models.segmentation.blocks import cropped, padded

TINY_CNN = {'encoder': 'cnn', 'widths': (4, 4, 4), 'decoder_widths': (4, 4)}
# name, arguments, parameters: PyTorch's count of the same network (U-Net), or the sum by hand of
# 9 C D a convolution, 2 D a norm, 4 C D + D an up-convolution, C + 1 the logits.
TINY: tuple[tuple[str, dict[str, Any]], ...] = (
  ('unet', {'width': 2}),
  ('unet', {'width': 4, 'levels': 2, 'dropout': 0.5}),
  ('unetpp', {'width': 2, 'deep_supervision': True}),
  ('unetpp', {'width': 2, 'levels': 3}),
  ('bcdunet', {'width': 2}),
  ('bcdunet', {'width': 2, 'bconvlstm_at': 'bottleneck'}),
  ('bcdunet', {'width': 2, 'bconvlstm_at': 'bottleneck', 'dense_blocks': 1}),
  ('bcdunet', {'width': 2, 'dense_blocks': 1, 'bidirectional': False}),
  ('unet_encoder', TINY_CNN),
  ('unet_encoder', {'encoder': 'resnet18'}),
)


def _shapes(model, size=(32, 32), train=False, batch=2):
  image = jax.ShapeDtypeStruct((batch, *size, 3), jnp.float32)
  variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), image)
  rngs = {'dropout': jax.random.key(0)}
  apply = lambda v, x: model.apply(v, x, train=train, mutable=['batch_stats'], rngs=rngs)[0]  # noqa: E731
  return variables, jax.eval_shape(apply, variables, image)


def _count(variables):
  return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


@pytest.mark.parametrize(
  ('name', 'arguments', 'size'),
  [
    *((*entry, (70, 53)) for entry in TINY),
    *((*TINY[i], size) for i in (0, 4, 8) for size in ((592, 448), (576, 448))),
  ],
  ids=str,
)
def test_any_size_and_bfloat16(name, arguments, size):
  model = build_segmenter(name, dtype=jnp.bfloat16, **arguments)
  variables, (logits, features) = _shapes(model, size, train=True)
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
  assert (logits.shape, logits.dtype) == ((2, *size, 1), jnp.float32)
  assert features['last_map'].shape[:3] == (2, *size)
  assert features['last_map'].dtype == features['bottleneck'].dtype == jnp.bfloat16
  for auxiliary in features.get('auxiliary', ()):
    assert (auxiliary.shape, auxiliary.dtype) == (logits.shape, jnp.float32)
  assert all(key.startswith(('encoder', 'decoder')) for key in variables['params'])


def test_every_entry_is_tried():
  assert {name for name, _ in TINY} == set(SEGMENTERS)


@pytest.mark.parametrize(
  ('name', 'arguments', 'expected'),
  [
    ('unet', {}, 1_942_577),  # the count of `benchmarks.peer_segmenters.unet()`
    ('unet', {'width': 64}, 31_037_633),  # the count usually given for U-Net with batch norm
    ('unet', {'width': 2, 'levels': 2}, 3 * 18 + 36 + 8 + 72 + 144 + 16 + 34 + 72 + 36 + 8 + 3),
    # Two levels have no other map between: the same network.
    ('unetpp', {'width': 2, 'levels': 2}, 483),
    # Encoder 98, block 72 + 144 + 16, up 34 + 4, ConvLSTMs 2 (9 2 4 + 9 1 4 + 4), double 80, 3.
    ('bcdunet', {'width': 2, 'levels': 2, 'dense_blocks': 1}, 98 + 232 + 38 + 224 + 80 + 3),
  ],
  ids=str,
)
def test_parameter_counts(name, arguments, expected):
  assert _count(_shapes(build_segmenter(name, **arguments))[0]) == expected


def _drawn(model, image) -> Any:
  """Variables drawn by NumPy, which compiles nothing."""
  shapes: Any = jax.eval_shape(model.init, jax.random.key(0), image)
  rng = np.random.default_rng(0)
  draw = lambda low, high: lambda x: rng.uniform(low, high, x.shape).astype(np.float32)  # noqa: E731
  return {
    'params': jax.tree.map(draw(-0.5, 0.6), shapes['params']),
    'batch_stats': jax.tree.map(draw(0.1, 0.5), shapes['batch_stats']),
  }


def test_padding_at_the_bottom_and_at_the_right_and_nowhere_else():
  image = jax.random.normal(jax.random.key(1), (1, 9, 10, 3))
  model = build_segmenter('unet', width=2, levels=3)
  variables = _drawn(model, image)
  whole = jnp.pad(image, ((0, 0), (0, 3), (0, 2), (0, 0)))
  np.testing.assert_array_equal(padded(image, 4), whole)
  np.testing.assert_array_equal(cropped(whole, image), image)
  np.testing.assert_array_equal(padded(whole, 4), whole)
  apply = jax.jit(model.apply)
  np.testing.assert_allclose(
    apply(variables, image)[0], apply(variables, whole)[0][:, :9, :10], rtol=1e-5, atol=1e-5
  )


def test_deep_supervision_adds_heads_to_the_same_network():
  image = jax.random.normal(jax.random.key(1), (1, 8, 8, 3))
  model = build_segmenter('unetpp', width=2, levels=3, deep_supervision=True)
  variables = _drawn(model, image)
  logits, features = jax.jit(model.apply)(variables, image)
  (first,) = features['auxiliary']
  assert np.abs(first - logits).max() > 1e-3
  plain = _shapes(build_segmenter('unetpp', width=2, levels=3))[0]
  assert set(variables['params']) - set(plain['params']) == {'decoder_logits1'}
  assert len(_shapes(build_segmenter('unetpp', deep_supervision=True))[1][1]['auxiliary']) == 3
  # The head of a shallower map sees nothing of the deepest.
  other = {**variables['params']}
  other['encoder3'] = jax.tree.map(lambda x: x + 1, other['encoder3'])
  again, features = jax.jit(model.apply)({**variables, 'params': other}, image)
  np.testing.assert_array_equal(features['auxiliary'][0], first)
  assert np.abs(again - logits).max() > 1e-3


@pytest.mark.parametrize('name', ['bcdunet', 'unetpp'])
def test_no_parameter_is_idle(name):
  image = jax.random.normal(jax.random.key(1), (1, 8, 8, 3))
  arguments = {'deep_supervision': True, 'levels': 3} if name == 'unetpp' else {'levels': 2}
  model = build_segmenter(name, width=2, **arguments)
  variables = _drawn(model, image)

  def loss(params):
    (logits, features), _ = model.apply(
      {**variables, 'params': params}, image, train=True, mutable=['batch_stats']
    )
    return sum(jnp.sum(jnp.sin(x)) for x in (logits, *features.get('auxiliary', ())))

  gradient = jax.jit(jax.grad(loss))(variables['params'])
  idle = [k for k, g in jax.tree_util.tree_leaves_with_path(gradient) if not np.abs(g).max() > 0]
  assert not idle


ENCODERS = {
  'cnn': (1, 2, 4), 'resnet34': (2, 4, 8, 16, 32), 'resnet50': (2, 4, 8, 16, 32),
  'densenet121': (2, 4, 8, 16, 32), 'efficientnet_b0': (2, 4, 8, 16, 32),
  'vgg16_bn': (1, 2, 4, 8, 16),
}  # fmt: skip


@pytest.mark.parametrize('encoder', ENCODERS)
def test_encoders_are_the_classifiers(encoder):
  classifier = build_model(encoder, 5, **({'top': 'pool'} if encoder == 'vgg16_bn' else {}))
  expected, (_, features) = _shapes(classifier, (64, 96))
  strides = ENCODERS[encoder]
  assert {key for key in features if key.startswith('stride')} == {f'stride{s}' for s in strides}
  for stride in strides:
    assert features[f'stride{stride}'].shape[1:3] == (64 // stride, 96 // stride)
  assert features[f'stride{strides[-1]}'].shape == features['last_map'].shape
  expected['params'].pop('head')
  expected['params'].pop('dense', None)  # of the CNN, whose shape depends on the image
  variables, (logits, _) = _shapes(build_segmenter('unet_encoder', encoder=encoder), (64, 96))
  for collection in ('params', 'batch_stats'):
    assert variables[collection]['encoder'] == expected[collection]
  assert logits.shape == (2, 64, 96, 1)
  steps = {int(k[14:]) for k in variables['params'] if k.startswith('decoder_stride')}
  assert steps == {1, *strides[:-1]}


def test_every_part_of_an_encoder_is_used():
  model = build_segmenter('unet_encoder', encoder='cnn', widths=(4, 4), decoder_widths=(4,))
  image = jax.random.normal(jax.random.key(1), (1, 8, 8, 3))
  variables = _drawn(model, image)

  def loss(params):
    (logits, _), _ = model.apply(
      {**variables, 'params': params}, image, train=True, mutable=['batch_stats']
    )
    return jnp.sum(jnp.sin(logits))

  gradient = jax.jit(jax.grad(loss))(variables['params'])
  assert all(np.abs(g).max() > 0 for g in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
  ('name', 'arguments', 'words'),
  [
    ('unnet', {}, "'unnet'.*unet"),
    ('unet', {'widht': 4}, "'widht'.*levels, width"),
    ('unet', {'levels': 1}, 'levels=1 .* 2 to 8'),
    ('unet', {'width': 0}, 'width=0'),
    ('unet', {'dropout': 1.0}, 'dropout=1.0'),
    ('unetpp', {'deep_supervision': 1}, 'deep_supervision=1 .*True or False'),
    ('bcdunet', {'bconvlstm_at': 'top'}, "'top'.*skips, bottleneck"),
    ('bcdunet', {'dense_blocks': 2}, 'dense_blocks=2 .*1, 3'),
    ('unet_encoder', {'encoder': 'resnet43'}, 'resnet34'),
    ('unet_encoder', {'encoder': 'vit_s16'}, "'vit_s16' has maps of one size"),
    ('unet_encoder', {'encoder': 'resnet18', 'momentum': 0.9}, "'momentum'.*stochastic_depth"),
    ('unet_encoder', {'decoder_widths': (8, 0)}, 'decoder_widths='),
  ],
  ids=str,
)
def test_mistakes_are_told_in_a_sentence(name, arguments, words):
  with pytest.raises(UserError, match=words) as error:
    build_segmenter(name, **arguments)
  assert '\n' not in str(error.value)


def test_too_few_decoder_widths_are_told():
  model = build_segmenter('unet_encoder', encoder='cnn', decoder_widths=(8, 8, 8))
  with pytest.raises(UserError, match=r'3 decoder_widths.* 2 times'):
    _shapes(model)


def test_dropout_needs_and_uses_its_stream():
  model = build_segmenter('unet', width=2, levels=2, dropout=0.5)
  image = jax.random.normal(jax.random.key(1), (1, 8, 8, 3))
  variables = _drawn(model, image)

  @jax.jit
  def apply(key):
    return model.apply(
      variables, image, train=True, mutable=['batch_stats'], rngs={'dropout': key}
    )[0][0]

  logits = [apply(jax.random.key(i)) for i in (0, 0, 1)]
  np.testing.assert_array_equal(logits[0], logits[1])
  assert not np.array_equal(logits[0], logits[2])
