"""What every test relies on: eight CPU devices, parsed flags, tiny data, the shared real data."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import tempfile
from typing import TYPE_CHECKING

import pytest
from absl import flags

if TYPE_CHECKING:  # not a base dependency, see below
  from ml_collections import ConfigDict

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]

# Programs that the tests start inherit this one (and one device: the number below is set in this
# process only). A GPU in the machine would make the numbers depend on where the tests run.
os.environ['JAX_PLATFORMS'] = 'cpu'
# What one started program has compiled the next need not: half of the time of tests that kill and
# resume. Removed at the end.
_COMPILED = tempfile.TemporaryDirectory(prefix='lesionjax-tests-')
os.environ['JAX_COMPILATION_CACHE_DIR'] = _COMPILED.name
os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
os.environ['JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES'] = '-1'

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


@pytest.fixture
def tiny_config(tiny_data_dir: pathlib.Path) -> ConfigDict:
  """Returns a configuration that trains 12 steps in seconds: 3 epochs of 4 batches of 32."""
  return _tiny_config(tiny_data_dir)


def _tiny_config(tiny_data_dir: pathlib.Path) -> ConfigDict:
  from configs import base

  config = base.get_config()
  config.data.name = 'synthetic_dermoscopy/tiny'
  config.data.data_dir = str(tiny_data_dir)
  config.data.size_px = 16
  config.num_devices = 1
  config.model.name = 'cnn'
  with config.unlocked():
    config.model.arguments = {'widths': (8, 8), 'dense_features': 16}
  config.augment.flip_horizontal = True
  config.augment.rotation_deg = 30.0
  config.augment.noise_std = 0.01
  config.train.batch_size = 32
  config.train.epochs = 3
  config.evaluate.batch_size = 16
  config.evaluate.resamples = 20
  config.evaluate.examples = 4
  config.evaluate.subgroups = False  # what takes seconds is asked for where it is tested
  config.evaluate.explain = config.evaluate.feature_map = 0
  config.log.every_steps = 2
  config.checkpoint.every_steps = 3
  return config


@pytest.fixture
def config(tiny_config: ConfigDict) -> ConfigDict:
  """Returns the configuration of the finished run: average, balanced sampling, plateau."""
  tiny_config.train.ema_decay = 0.9
  tiny_config.data.sampling = 'balanced'
  tiny_config.schedule.name = 'plateau'
  tiny_config.schedule.plateau_epochs = 1
  return tiny_config


@pytest.fixture(scope='session')
def finished(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Returns the directory of the uninterrupted run; filled by the first test that asks for it."""
  return tmp_path_factory.mktemp('runs') / 'finished'


@pytest.fixture
def run(config: ConfigDict, finished: pathlib.Path) -> pathlib.Path:
  """Returns the directory of a run that was trained to its end, once for all tests."""
  from tests import programs

  config.evaluate.colour_baseline = True
  if not finished.exists():
    programs.finish(programs.start(config, finished))
  return finished


@pytest.fixture
def segmenter_config(tiny_data_dir: pathlib.Path) -> ConfigDict:
  """Returns the configuration of a U-Net of three levels that trains 8 steps."""
  config = _tiny_config(tiny_data_dir)  # not the fixture, which other fixtures change
  config.task = 'segment'
  config.model.name = 'unet'
  with config.unlocked():
    config.model.arguments = {'width': 4, 'levels': 3}
  config.train.loss = 'bce_dice'
  config.train.epochs = 2
  config.optimiser.learning_rate = 1e-2
  config.select.metric = 'dice'
  return config


@pytest.fixture(scope='session')
def segmenter_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Returns the directory of the segmenter; filled by the first test that asks for it."""
  return tmp_path_factory.mktemp('segmenter') / 'run'


@pytest.fixture
def segmenter(segmenter_config: ConfigDict, segmenter_dir: pathlib.Path) -> pathlib.Path:
  """Returns the directory of a trained segmenter, made once for all tests."""
  from tests import programs

  if not segmenter_dir.exists():
    programs.finish(programs.start(segmenter_config, segmenter_dir))
  return segmenter_dir


@pytest.fixture
def generator_config(tiny_data_dir: pathlib.Path) -> ConfigDict:
  """Returns the configuration of a narrow pair that trains 8 steps."""
  config = _tiny_config(tiny_data_dir)  # not the fixture, which other fixtures change
  config.task = 'generate'
  config.model.name = 'projection'
  with config.unlocked():
    config.model.arguments = {'width': 4, 'discriminator_width': 4, 'embedding': 4}
  config.normalise.mean = config.normalise.std = (0.5, 0.5, 0.5)
  config.augment.rotation_deg = config.augment.noise_std = 0.0
  config.data.sampling = 'balanced'
  config.train.epochs = 2
  config.train.ema_decay = 0.9
  config.optimiser.name = 'adam'
  config.optimiser.beta1 = 0.0
  config.gan.latent = 8
  config.gan.grid_columns = 3
  config.select.metric = 'latest'
  return config


@pytest.fixture(scope='session')
def generator_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Returns the directory of the generator; filled by the first test that asks for it."""
  return tmp_path_factory.mktemp('generator') / 'run'


@pytest.fixture
def generator(generator_config: ConfigDict, generator_dir: pathlib.Path) -> pathlib.Path:
  """Returns the directory of a trained generator, made once for all tests."""
  from tests import programs

  if not generator_dir.exists():
    programs.finish(programs.start(generator_config, generator_dir))
  return generator_dir
