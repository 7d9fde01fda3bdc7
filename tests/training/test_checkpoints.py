"""What a checkpoint refuses to be restored into."""

import resource
import signal

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.training import tally
from lesionjax.training.checkpoints import Checkpoints
from lesionjax.training.progress import Progress
from lesionjax.training.state import State


@pytest.fixture
def full_disk():
  """Files of more than 100 kB cannot be written, as on a full disk."""
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
  resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_one_sentence_and_keeps_the_checkpoint_before(tmp_path, full_disk):
  zero, noise = jnp.zeros((), jnp.int32), np.random.default_rng(0).normal(size=200_000)
  params = {'w': jnp.asarray(noise, jnp.float32)}
  state = State(zero, params, {}, {}, {}, jnp.ones(()), tally.empty(2))
  data = iter(grain.MapDataset.range(10).to_iter_dataset())
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(state, data, Progress())  # step 0 is the best of a new Progress

  def fill():
    with Checkpoints(tmp_path) as checkpoints:
      full_disk()
      checkpoints.save(state.replace(step=zero + 1), data, Progress())

  with pytest.raises(UserError, match='checkpoints cannot be written'):
    fill()
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.last_step == checkpoints.best_step == 0
    restored = checkpoints.restore(0, state, data)
  assert jax.tree.leaves(restored.params)[0].shape == (200_000,)


def test_another_number_of_processes_is_refused(tmp_path):
  folder = tmp_path / 'checkpoints' / '6' / 'data'
  folder.mkdir(parents=True)
  for index in range(2):
    (folder / f'process_{index}-of-2.json').write_text('{}')
  checkpoints = Checkpoints.__new__(Checkpoints)
  checkpoints._directory = tmp_path / 'checkpoints'
  with pytest.raises(UserError, match=r'saved by 2 process\(es\) and this start has 1'):
    checkpoints._check_processes(6)
  for path in folder.iterdir():
    path.rename(folder / path.name.replace('of-2', 'of-1'))
  checkpoints._check_processes(6)
