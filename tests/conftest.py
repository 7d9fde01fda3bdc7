"""What every test relies on: eight CPU devices, parsed flags, tiny data, the shared real data."""

from __future__ import annotations

import importlib.util
import os
import pathlib

import pytest
from absl import flags

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]

# Programs that the tests start inherit this one (and one device: the number below is set in this
# process only). A GPU in the machine would make the numbers depend on where the tests run.
os.environ['JAX_PLATFORMS'] = 'cpu'

# tests/data_builders also runs where only the base dependencies are installed.
if importlib.util.find_spec('jax'):
  import jax

  jax.config.update('jax_num_cpu_devices', 8)

# Grain's worker processes refuse to start while absl waits for a command line.
if not flags.FLAGS.is_parsed():
  flags.FLAGS.mark_as_parsed()


@pytest.fixture(scope='session')
def tiny_data_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Returns a TFDS data directory that holds `synthetic_dermoscopy/tiny`."""
  from data_builders import build

  data_dir = tmp_path_factory.mktemp('data')
  build.prepare('synthetic_dermoscopy/tiny', data_dir=str(data_dir), progress=False)
  return data_dir


@pytest.fixture(scope='session')
def shared_data() -> pathlib.Path:
  """Returns the directory of the real images, or skips the test where it is absent."""
  named = os.environ.get('LESIONJAX_SHARED')
  data = (pathlib.Path(named) if named else REPOSITORY.parent / 'shared') / 'data'
  if not (data / 'ham10000').is_dir():
    pytest.skip(f'the real images are not here: {data}/ham10000 (LESIONJAX_SHARED names the place)')
  return data
