"""The generation task as pure functions: a pair small enough for NumPy, and real ones."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lesionjax.models.generation import build_gan
from lesionjax.models.generation.pair import GAN
from lesionjax.training import adversarial
from lesionjax.training.adversarial import Settings, collapse, latents
from lesionjax.training.adversarial_losses import LOSSES
from lesionjax.training.mesh import make_mesh

RATE = 0.5


class Maker(nn.Module):
  """Every colour of an image is the latent times a weight, plus a tenth of the label."""

  @nn.compact
  def __call__(self, latent, label, train):
    w = self.param('w', nn.initializers.constant(0.3), (2,))
    value = (latent * w).sum(-1) + 0.1 * label
    return jnp.broadcast_to(value[:, None, None, None], (*label.shape, 4, 4, 3))


class Judge(nn.Module):
  """The logit is a weight times the image's mean, plus another times the label."""

  @nn.compact
  def __call__(self, image, label, train):
    a = self.param('a', nn.initializers.constant(0.3), (2,))
    return a[0] * image.mean((1, 2, 3)) + a[1] * label


def linear():
  return GAN(Maker(), Judge(), 2)


def prepare(image, key):
  return image.astype(jnp.float32) / 127.5 - 1


def settings(**options):
  schedule = optax.constant_schedule(RATE)
  return Settings(optax.sgd(schedule), optax.sgd(0.25), schedule, **options)


@pytest.fixture
def batch():
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (16, 4, 4, 3))
  return {'image': jnp.asarray(image, jnp.uint8), 'label': jnp.arange(16, dtype=jnp.int32) % 3}


def numpy_loss(name):
  soft = lambda x: np.logaddexp(0, x)  # noqa: E731
  if name == 'bce':
    return lambda r, f: (soft(-r) + soft(f)).mean(), lambda f: soft(-f).mean()
  relu = lambda x: np.maximum(x, 0)  # noqa: E731
  return lambda r, f: (relu(1 - r) + relu(1 + f)).mean(), lambda f: -f.mean()


def slope(function, at):
  steps = 1e-5 * np.eye(len(at))
  return np.array([(function(at + s) - function(at - s)) / 2e-5 for s in steps])


@pytest.mark.parametrize('name', list(LOSSES))
def test_one_step_is_two_gradient_steps_by_hand(name, batch):
  task = adversarial.make_task(linear(), settings(loss=name), prepare)
  state = jax.jit(task.init)(jax.random.key(0), batch)
  key = jax.random.key(1)
  after, metrics = jax.jit(task.train_step)(state, batch, key)

  _, generator_key, first_key = jax.random.split(key, 3)
  z1, z2 = (
    np.asarray(jax.random.normal(jax.random.split(k, 3)[0], (16, 2)), np.float64)
    for k in (first_key, generator_key)
  )
  label = np.asarray(batch['label'])
  real = (np.asarray(batch['image'], np.float64) / 127.5 - 1).mean((1, 2, 3))
  of_pair, of_fake = numpy_loss(name)
  a, w = np.full(2, 0.3), np.full(2, 0.3)

  def judge(a, value):
    return a[0] * value + a[1] * label

  def make(w, z):
    return z @ w + 0.1 * label

  fake = make(w, z1)
  to_a = slope(lambda a: of_pair(judge(a, real), judge(a, fake)), a)
  new_a = a - 0.25 * to_a
  to_w = slope(lambda w: of_fake(judge(new_a, make(w, z2))), w)
  np.testing.assert_allclose(after.params['discriminator']['a'], new_a, rtol=1e-4)
  np.testing.assert_allclose(after.params['generator']['w'], w - RATE * to_w, rtol=1e-4)
  expected = {
    'loss': of_fake(judge(new_a, make(w, z2))),
    'discriminator_loss': of_pair(judge(a, real), judge(a, fake)),
    'real_logit': judge(a, real).mean(),
    'fake_logit': judge(a, fake).mean(),
    'grad_norm': np.sqrt((to_a**2).sum() + (to_w**2).sum()),
    'learning_rate': RATE,
  }
  assert set(metrics) == set(expected)
  for metric, value in expected.items():
    assert float(metrics[metric]) == pytest.approx(value, rel=1e-4), metric
  summary = task.summarise(jax.device_get(after.tally), ())
  assert summary['loss'] == pytest.approx(expected['loss'], rel=1e-4)
  logits = np.concatenate((judge(a, real), judge(a, fake)))
  assert summary['spread'] == pytest.approx(logits.std(), rel=1e-4)


def test_r1_is_the_squared_slope_of_the_logit_in_the_image(batch):
  def judge(r1):
    task = adversarial.make_task(linear(), settings(r1=r1), prepare)
    state = jax.jit(task.init)(jax.random.key(0), batch)
    return jax.jit(task.train_step)(state, batch, jax.random.key(1))[0].params['discriminator']['a']

  # The logit is a[0] times the mean of 48 numbers: its squared slope is a[0]**2 / 48.
  change = np.asarray(judge(6.0)) - np.asarray(judge(0.0))
  np.testing.assert_allclose(change, [-0.25 * 6.0 * 0.3 / 48, 0], rtol=1e-4, atol=1e-7)


def test_the_penalty_is_due_now_and_then_and_weighs_more(batch):
  def changes(every):
    penalised, plain = (
      adversarial.make_task(linear(), settings(r1=r1, r1_every=every), prepare) for r1 in (6.0, 0.0)
    )
    found = []
    for step in range(3):
      state = jax.jit(plain.init)(jax.random.key(0), batch)
      state = dataclasses.replace(state, step=jnp.int32(step))
      after = [
        jax.jit(task.train_step)(state, batch, jax.random.key(1))[0].params['discriminator']['a']
        for task in (penalised, plain)
      ]
      found.append(float(after[0][0] - after[1][0]))
    return found

  always, seldom = changes(1), changes(2)
  np.testing.assert_allclose(seldom, [2 * always[0], 0, 2 * always[2]], rtol=1e-4, atol=1e-7)
  assert always[0] < 0


@pytest.mark.parametrize(
  ('name', 'options'),
  [('projection', {}), ('projection', {'spectral': True}), ('published', {})],
)
def test_the_penalty_of_a_network_equals_finite_differences(name, options):
  model = small(name, **options)
  task = adversarial._Update(model, settings(), prepare)
  rng = np.random.default_rng(0)
  image = jnp.asarray(rng.uniform(-1, 1, (2, 16, 16, 3)), jnp.float32)
  label = jnp.array([0, 2])
  state = filled(task)
  params, keys = state.params['discriminator'], list(jax.random.split(jax.random.key(2)))
  # Spectral normalisation holds its singular vectors fixed, which is exact once they have settled.
  settle = jax.jit(lambda stats: task._logits(params, stats, image, label, keys[1])[1])
  for _ in range(60 if options else 0):
    state = adversarial._with_stats(state, 'discriminator', settle(state.batch_stats))

  @jax.jit
  def penalty(params):
    return task._penalty(params, state, image, label, keys)

  @jax.jit
  def total(x):
    return task._logits(params, state.batch_stats, x, label, keys[1])[0].sum()

  found = float(penalty(params))
  gradient = np.asarray(jax.jit(jax.grad(total))(image), np.float64)
  assert found == pytest.approx((gradient**2).sum() / 2, rel=1e-4)
  direction = rng.normal(size=image.shape).astype(np.float32)
  numeric = (float(total(image + 1e-3 * direction)) - float(total(image - 1e-3 * direction))) / 2e-3
  assert numeric == pytest.approx((gradient * direction).sum(), rel=0.05, abs=0.02)
  # The penalty is lowered, so its own gradient must exist; along it, it changes as it says.
  to_params = jax.jit(jax.grad(penalty))(params)
  norm = float(optax.tree.norm(to_params))
  moved = jax.tree.map(lambda p, g: p - 1e-3 / norm * g, params, to_params)
  assert float(penalty(moved)) - found == pytest.approx(-1e-3 * norm, rel=0.05)


def small(name, **options):
  widths = (
    {'width': 4, 'discriminator_width': 4, 'embedding': 4}
    if name == 'projection'
    else {'widths': (8, 4, 4, 4), 'discriminator_widths': (4, 4, 4)}
  )
  return build_gan(name, 3, 16, 8, **{**widths, **options})


def filled(task):
  """A state drawn by NumPy: compiling what draws it takes as long as compiling a step."""
  rng = np.random.default_rng(5)
  like = jax.eval_shape(task.init, jax.random.key(0), images(1))

  def fill(path, leaf):
    if leaf.ndim == 0 or path[-1].key in ('bias', 'mean'):
      return np.zeros(leaf.shape, leaf.dtype)
    if path[-1].key in ('scale', 'var'):
      return np.ones(leaf.shape, leaf.dtype)
    return rng.normal(0, np.prod(leaf.shape[:-1]) ** -0.5, leaf.shape).astype(leaf.dtype)

  params, stats = (
    jax.tree_util.tree_map_with_path(fill, tree) for tree in (like.params, like.batch_stats)
  )
  return task.start(params, stats, jnp.zeros((), jnp.int32))


def images(count=16):
  rng = np.random.default_rng(3)
  return {
    'image': rng.integers(0, 256, (count, 16, 16, 3)).astype(np.uint8),
    'label': (np.arange(count) % 3).astype(np.int32),
  }


@pytest.mark.parametrize(
  ('name', 'options'),
  [
    ('projection', {}),
    pytest.param('published', {}, marks=pytest.mark.slow),
  ],
)
def test_one_and_eight_devices_agree(name, options):
  everything = settings(
    augment=('colour', 'translation', 'cutout'), ema_decay=0.9, r1=1.0, r1_every=2
  )
  task = adversarial.make_task(small(name, **options), everything, prepare)
  drawn = jax.device_get(filled(task))
  results = []
  for count in (1, 8):
    mesh = make_mesh(count)
    batch = jax.device_put(images(), mesh.batch)
    state = jax.device_put(drawn, mesh.replicated)
    step = jax.jit(task.train_step, out_shardings=mesh.replicated)
    for number in range(2):
      state, metrics = step(state, batch, jax.random.key(number))
    assert step._cache_size() == 1
    results.append(jax.device_get((state, metrics)))
  one, eight = (jax.tree.leaves(result) for result in results)
  assert len(one) == len(eight) > 20
  for a, b in zip(one, eight, strict=True):
    np.testing.assert_allclose(b, a, rtol=2e-3, atol=2e-5)


def test_several_updates_of_the_discriminator_take_parts_of_the_batch(batch):
  twice = adversarial._Update(linear(), settings(discriminator_steps=2), prepare)
  state = jax.jit(twice.init)(jax.random.key(0), batch)
  key = jax.random.key(1)
  after, metrics = jax.jit(twice.train_step)(state, batch, key)
  _, generator_key, *keys = jax.random.split(key, 4)
  real = prepare(batch['image'], None)
  for at in range(2):
    part = real[at::2], batch['label'][at::2]
    state, judged = twice._update_discriminator(state, *part, keys[at])
  state, made = twice._update_generator(state, batch['label'][1::2], generator_key)
  for a, b in zip(jax.tree.leaves(after.params), jax.tree.leaves(state.params), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5)
  assert float(metrics['loss']) == pytest.approx(float(made['loss']), rel=1e-5)
  assert float(metrics['real_logit']) == pytest.approx(float(judged['real_logit']), rel=1e-5)


def test_the_average_is_the_generators_and_nothing_else_is_averaged(batch):
  task = adversarial.make_task(linear(), settings(ema_decay=0.9), prepare)
  state = jax.jit(task.init)(jax.random.key(0), batch)
  after, _ = jax.jit(task.train_step)(state, batch, jax.random.key(1))
  decay = min(0.9, 1 / 10)
  for old, new, mean in zip(
    *(jax.tree.leaves(t['generator']) for t in (state.params, after.params, after.ema)), strict=True
  ):
    np.testing.assert_allclose(mean, decay * old + (1 - decay) * new, atol=1e-6)
  for new, kept in zip(
    *(jax.tree.leaves(t['discriminator']) for t in (after.params, after.ema)), strict=True
  ):
    np.testing.assert_array_equal(new, kept)


def test_bfloat16_trains():
  task = adversarial.make_task(small('projection', dtype=jnp.bfloat16), settings(), prepare)
  state = filled(task)
  state, metrics = jax.jit(task.train_step)(state, images(), jax.random.key(1))
  assert all(np.isfinite(float(value)) for value in metrics.values())
  assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype('float32')}


def test_an_image_of_evaluation_does_not_depend_on_those_beside_it():
  task = adversarial.make_task(small('projection'), settings(), prepare)
  state = filled(task)
  whole = {**images(), 'index': np.arange(100, 116, dtype=np.int32)}
  part = {key: value[5:7] for key, value in whole.items()}
  step = jax.jit(task.eval_step)
  found, again = step(state.weights, whole), step(state.weights, part)
  for name in ('real_logit', 'fake_logit'):
    np.testing.assert_allclose(again[name], found[name][5:7], rtol=1e-4, atol=1e-6)
  np.testing.assert_array_equal(latents(1, np.arange(9), 4)[3:5], latents(1, [3, 4], 4))
  assert not np.allclose(latents(1, [0], 4), latents(2, [0], 4))


def test_a_collapsed_discriminator_is_told():
  healthy = {'discriminator_loss': 1.2, 'spread': 0.5}
  assert collapse(healthy) == ''
  assert 'always wins' in collapse({**healthy, 'discriminator_loss': 0.001})
  assert 'says the same of every image' in collapse({**healthy, 'spread': 1e-5})
