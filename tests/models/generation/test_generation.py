"""Generators and discriminators: shapes and counts of the publication, layers by hand, mistakes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.models.generation import build_gan
from lesionjax.models.generation.blocks import ConditionalNorm, Spectral, Spread
from lesionjax.training.checkpoints import shapes
from tests.models.test_strided import down_by_loops, up_by_loops


def variables_of(model, size):
  image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
  return jax.eval_shape(lambda x: model.init(jax.random.key(0), x), image)


def filled(model, size, seed=0):
  rng = np.random.default_rng(seed)
  like = variables_of(model, size)

  def draw(path, leaf):
    value = rng.normal(0, 0.3, leaf.shape).astype(np.float32)
    return np.abs(value) if path[-1].key == 'var' else value

  return jax.tree_util.tree_map_with_path(draw, like)


def test_the_published_pair_has_the_parameters_of_the_publication():
  like = variables_of(build_gan('published', 7, 64), 64)
  generator, discriminator = (like['params'][k] for k in ('generator', 'discriminator'))
  count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))  # noqa: E731
  layers = ((256, 128), (128, 64), (64, 32))
  expected = 7 * 128 + 128 * 8 * 8 * 256 + 8 * 8 * 256  # labels, dense layer
  expected += sum(16 * a * b + b + 2 * b for a, b in layers) + 9 * 32 * 3 + 3
  assert count(generator) == expected == 2_804_099
  layers = ((4, 64), (64, 128), (128, 256))
  expected = 7 * 64 * 64 + sum(16 * a * b + b for a, b in layers) + 8 * 8 * 256 + 1
  assert count(discriminator) == expected == 704_961
  assert shapes(like['batch_stats']) == {
    f'generator/norm{n}/{kind}': (width,)
    for n, width in ((1, 128), (2, 64), (3, 32))
    for kind in ('mean', 'var')
  }


@pytest.mark.parametrize(
  ('name', 'size'), [('published', 64), ('projection', 64), ('projection', 128)]
)
def test_images_and_logits_have_their_shapes(name, size):
  model = build_gan(name, 7, size)
  like = variables_of(model, size)
  latent, label = jax.ShapeDtypeStruct((2, 128), jnp.float32), jax.ShapeDtypeStruct((2,), jnp.int32)
  image = jax.eval_shape(
    lambda v, z, y: model.apply(v, z, y, method='generate'), like, latent, label
  )
  assert (image.shape, image.dtype) == ((2, size, size, 3), jnp.float32)
  logit = jax.eval_shape(
    lambda v, x, y: model.apply(v, x, y, method='discriminate'), like, image, label
  )
  assert (logit.shape, logit.dtype) == ((2,), jnp.float32)


def conv(x, kernel, bias):
  return down_by_loops(x, kernel) + bias


def leaky(x):
  return np.where(x >= 0, x, 0.2 * x)


def test_the_published_discriminator_by_hand():
  model = build_gan('published', 3, 16, 8, discriminator_widths=(4, 5, 6), widths=(4, 4, 4, 4))
  variables = filled(model, 16)
  p = jax.tree.map(np.float64, variables['params']['discriminator'])
  rng = np.random.default_rng(1)
  image, label = rng.uniform(-1, 1, (2, 16, 16, 3)), np.array([2, 0])
  x = np.concatenate((image, p['label']['embedding'][label].reshape(2, 16, 16, 1)), -1)
  for number in (1, 2, 3):
    x = leaky(conv(x, p[f'down{number}']['kernel'], p[f'down{number}']['bias']))
  expected = x.reshape(2, -1) @ p['logit']['kernel'][:, 0] + p['logit']['bias']
  found = model.apply(variables, jnp.float32(image), label, False, method='discriminate')
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def colours(x, p):
  """3x3 px, one zero around, and tanh."""
  padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  y = np.zeros((*x.shape[:3], 3))
  for i in range(x.shape[1]):
    for j in range(x.shape[2]):
      y[:, i, j] = np.einsum('bhwc,hwcd->bd', padded[:, i : i + 3, j : j + 3], p['kernel'])
  return np.tanh(y + p['bias'])


def test_the_published_generator_by_hand():
  model = build_gan('published', 3, 16, 8, widths=(5, 4, 6, 3))
  variables = filled(model, 16)
  stats = variables['batch_stats']['generator']
  p, s = (jax.tree.map(np.float64, t) for t in (variables['params']['generator'], stats))
  latent, label = np.random.default_rng(1).normal(size=(2, 8)), np.array([2, 0])
  x = latent * p['label']['embedding'][label] @ p['dense']['kernel'] + p['dense']['bias']
  x = x.reshape(2, 2, 2, 5)  # a map of an eighth of the side
  for number in (1, 2, 3):
    x = up_by_loops(x, p[f'up{number}']['kernel']) + p[f'up{number}']['bias']
    moments, norm = s[f'norm{number}'], p[f'norm{number}']
    x = (x - moments['mean']) / np.sqrt(moments['var'] + 1e-3) * norm['scale'] + norm['bias']
    x = leaky(x)
  expected = colours(x, p['image'])
  found = model.apply(variables, jnp.float32(latent), label, False, method='generate')
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
  assert 0.05 < np.abs(expected).mean() < 0.95


@pytest.mark.parametrize('kind', ['instance', 'batch'])
def test_the_projection_generator_by_hand(kind):
  widths = {'width': 3, 'discriminator_width': 4, 'embedding': 5}
  model = build_gan('projection', 3, 16, 8, **widths, norm=kind)
  variables = filled(model, 16)
  stats = variables['batch_stats'].get('generator', {})
  for moments in stats.values():
    moments['var'] += 4  # no image is all black or white
  p = jax.tree.map(np.float64, variables['params']['generator'])
  latent, label = np.random.default_rng(1).normal(size=(2, 8)), np.array([2, 0])
  condition = np.concatenate((latent, p['label']['embedding'][label]), 1)

  def norm(x, name):
    dense = p[name]['modulation']
    scale, shift = np.split(condition @ dense['kernel'] + dense['bias'], 2, -1)
    mean, var = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    if kind == 'batch':
      mean, var = stats[name]['mean'], stats[name]['var']
    plain = (x - mean) / np.sqrt(var + 1e-5)
    return leaky(plain * (1 + scale[:, None, None]) + shift[:, None, None])

  x = (condition @ p['dense']['kernel'] + p['dense']['bias']).reshape(2, 4, 4, 12)
  for before, after in ((4, 8), (8, 16)):
    x = up_by_loops(norm(x, f'norm{before}'), p[f'up{after}']['kernel'])
  expected = colours(norm(x, 'norm16'), p['image'])
  found = model.apply(variables, jnp.float32(latent), label, False, method='generate')
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
  assert 0.05 < np.abs(expected).mean() < 0.95


def same_by_loops(x, kernel):
  """3x3 px, one zero around."""
  padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  y = np.zeros((*x.shape[:3], kernel.shape[-1]))
  for i in range(x.shape[1]):
    for j in range(x.shape[2]):
      y[:, i, j] = np.einsum('bhwc,hwcd->bd', padded[:, i : i + 3, j : j + 3], kernel)
  return y


@pytest.mark.parametrize('spectral', [False, True])
def test_the_projection_discriminator_by_hand(spectral):
  widths = {'width': 4, 'discriminator_width': 4}
  model = build_gan('projection', 3, 16, 8, **widths, spectral=spectral)
  variables = filled(model, 16)
  p = jax.tree.map(np.float64, variables['params']['discriminator'])
  stats = jax.tree.map(np.float64, variables['batch_stats']['discriminator'])
  rng = np.random.default_rng(1)
  image, label = rng.uniform(-1, 1, (2, 16, 16, 3)), np.array([2, 0])

  def normal(name):
    kernel = p[name]['kernel']
    if not spectral:
      return kernel
    matrix = kernel.reshape(-1, kernel.shape[-1])
    left = matrix @ stats[name]['norm']['u']
    left /= np.linalg.norm(left)
    return kernel / np.linalg.norm(left @ matrix)  # one iteration from the state

  x = image
  for name in ('down8', 'down4'):
    x = leaky(conv(x, normal(name), p[name]['bias']))
  x = np.concatenate((x, np.full((2, 4, 4, 1), stats['spread']['mean'])), -1)
  x = leaky(same_by_loops(x, normal('last')) + p['last']['bias']).reshape(2, -1)
  x = leaky(x @ normal('hidden') + p['hidden']['bias'])
  expected = x @ normal('logit')[:, 0] + p['logit']['bias']
  expected += (p['label']['embedding'][label] * x).sum(-1) / np.sqrt(16)
  found = model.apply(variables, jnp.float32(image), label, False, method='discriminate')
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_spread_is_of_groups_that_follow_each_other():
  x = np.random.default_rng(0).normal(3, 2, (8, 2, 2, 5)).astype(np.float32)
  x[4:] = x[4]  # all alike
  module = Spread(momentum=0.75)
  start = module.init(jax.random.key(0), x, True)
  found, stats = module.apply(start, x, True, mutable=['batch_stats'])
  np.testing.assert_array_equal(found[..., :5], x)
  first = x[:4].std(0).mean()
  np.testing.assert_allclose(found[:4, ..., 5], first, rtol=1e-4)
  np.testing.assert_allclose(found[4:, ..., 5], 0, atol=2e-4)
  kept = float(stats['batch_stats']['mean'])
  assert kept == pytest.approx(0.25 * first / 2, rel=1e-3)
  # Where batches are no multiple of a group, groups are smaller; evaluation compares none.
  odd, _ = module.apply(start, x[:6], True, mutable=['batch_stats'])
  np.testing.assert_allclose(odd[:2, ..., 5], x[:2].std(0).mean(), rtol=1e-4)
  alone = module.apply({**start, **stats}, x[:1], False)
  np.testing.assert_allclose(alone[..., 5], kept, rtol=1e-6)
  slope = jax.grad(lambda x: module.apply(start, x, True, mutable=['batch_stats'])[0].sum())(x)
  assert np.isfinite(slope).all()


def test_power_iteration_finds_the_largest_singular_value_and_is_kept_in_training_only():
  kernel = np.random.default_rng(0).normal(size=(4, 4, 3, 6)).astype(np.float32)
  module = Spectral()
  start = module.init(jax.random.key(0), kernel, False)
  state = start
  for _ in range(100):
    out, state = module.apply(state, kernel, True, mutable=['batch_stats'])
  largest = np.linalg.svd(kernel.reshape(-1, 6), compute_uv=False)[0]
  np.testing.assert_allclose(out, kernel / largest, rtol=1e-4)
  np.testing.assert_allclose(np.linalg.norm(np.reshape(out, (-1, 6)), 2), 1, rtol=1e-4)
  _, same = module.apply(start, kernel, False, mutable=['batch_stats'])
  np.testing.assert_array_equal(same['batch_stats']['u'], start['batch_stats']['u'])


def test_an_image_is_normalised_by_itself_and_a_batch_together():
  x = np.random.default_rng(0).normal(3, 2, (4, 5, 5, 6)).astype(np.float32)
  condition = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
  for kind, axes in (('instance', (1, 2)), ('batch', (0, 1, 2))):
    module = ConditionalNorm(kind)
    variables = module.init(jax.random.key(0), x, condition, True)
    found, _ = module.apply(variables, x, condition, True, mutable=['batch_stats'])
    dense = variables['params']['modulation']
    scale, shift = np.split(condition @ dense['kernel'] + dense['bias'], 2, -1)
    plain = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    expected = plain * (1 + scale[:, None, None]) + shift[:, None, None]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_running_moments_serve_evaluation():
  module = ConditionalNorm('batch', momentum=0.0)
  x = np.random.default_rng(0).normal(3, 2, (4, 5, 5, 6)).astype(np.float32)
  condition = np.ones((4, 3), np.float32)
  variables = module.init(jax.random.key(0), x, condition, True)
  trained, stats = module.apply(variables, x, condition, True, mutable=['batch_stats'])
  again = module.apply({**variables, **stats}, x[:1], condition[:1], False)
  np.testing.assert_allclose(again, trained[:1], atol=1e-5)


def test_samples_depend_on_the_label_and_on_the_latent():
  model = build_gan('projection', 3, 16, 8, width=4, discriminator_width=4, embedding=4)
  variables = filled(model, 16)
  latent = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
  draw = jax.jit(lambda z, y: model.apply(variables, z, y, False, method='generate'))
  first = draw(latent, np.array([0, 0]))
  assert not np.allclose(first[0], first[1], atol=1e-3)
  other = draw(latent, np.array([0, 1]))
  np.testing.assert_allclose(other[0], first[0], atol=1e-6)
  assert not np.allclose(other[1], first[1], atol=1e-3)
  assert np.abs(first).max() <= 1


MISTAKES = {
  'name': (
    ('stylegan', 7, 64),
    {},
    "unknown generator 'stylegan': known generators are projection",
  ),
  'near': (('projektion', 7, 64), {}, 'did you mean projection'),
  'argument': (
    ('published', 7, 64),
    {'width': 3},
    "has no argument 'width': allowed arguments are",
  ),
  'classes': (('published', 0, 64), {}, 'at least 1, not 0'),
  'width': (('projection', 7, 64), {'width': 0}, 'width=0 must be a positive whole number'),
  'spectral': (('projection', 7, 64), {'spectral': 'no'}, "spectral='no' must be True or False"),
  'norm': (('projection', 7, 64), {'norm': 'layer'}, 'one of instance, batch'),
  'widths': (('published', 7, 64), {'widths': (8, 8)}, '4 positive whole numbers'),
  'dropout': (('published', 7, 64), {'dropout': 1.0}, 'a share, at least 0 and below 1'),
  'size': (('projection', 7, 48), {}, 'a power of two, 16 or more, not 48'),
  'multiple': (('published', 7, 60), {}, 'a multiple of 8, not 60'),
}


@pytest.mark.parametrize('case', MISTAKES)
def test_mistakes_are_one_sentence(case):
  arguments, options, sentence = MISTAKES[case]
  with pytest.raises(UserError, match=sentence) as caught:
    build_gan(*arguments, **options)
  assert '\n' not in str(caught.value)
