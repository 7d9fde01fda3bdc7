"""Training from a stream, from memory and from images resident on the devices is the same."""

from __future__ import annotations

import json
import pathlib

import jax
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax import experiment
from lesionjax.runs import inference
from lesionjax.training import stopping


def small(config):
  config.train.epochs = 2
  config.optimiser.name = 'sgd'  # Adam divides by the gradient and so blows rounding up
  config.evaluate.colour_baseline = False
  return config


def weights(run: pathlib.Path, config):
  from lesionjax.runs import assembly

  model = assembly.make_model(config, 8)
  local = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return inference.restore_best(str(run), model, config.data.size_px, local)


def losses(run: pathlib.Path) -> list[float]:
  records = [json.loads(line) for line in (run / 'metrics.jsonl').read_text().splitlines()]
  return [record['loss'] for record in records if record['kind'] in ('step', 'validation')]


def assert_same(one: pathlib.Path, other: pathlib.Path, config) -> None:
  np.testing.assert_allclose(losses(one), losses(other), rtol=1e-5)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
    weights(one, config),
    weights(other, config),
  )


@pytest.fixture
def streamed(tiny_config, tmp_path):
  """Returns the run that reads a stream."""
  experiment.train(small(tiny_config), str(tmp_path / 'stream'))
  return tmp_path / 'stream'


def test_all_inputs_train_alike_and_resume_each_other(tiny_config, streamed, tmp_path, monkeypatch):
  config = small(tiny_config)
  config.data.input = 'device'
  config.num_devices = 8
  experiment.train(config, str(tmp_path / 'device'))
  assert_same(tmp_path / 'device', streamed, config)

  # Stopped at step 5 while reading from memory, carried on from the devices.
  config.num_devices = 1
  config.data.input = 'ram'
  asked = []

  def requested(self, agree=True):
    asked.append(agree)
    return len(asked) == 5

  with monkeypatch.context() as patched:
    patched.setattr(stopping.StopSignal, 'requested', requested)
    with pytest.raises(stopping.Interrupted):
      experiment.train(config, str(tmp_path / 'ram'))
  config.data.input = 'device'
  experiment.train(config, str(tmp_path / 'ram'))
  assert len(losses(tmp_path / 'ram')) == 8 + 2
  assert_same(tmp_path / 'ram', streamed, config)


def test_an_unknown_input_is_refused(tiny_config, tmp_path):
  tiny_config.data.input = 'disk'
  with pytest.raises(UserError, match=r"config\.data\.input='disk' is not one of 'stream', 'ram'"):
    experiment.train(tiny_config, str(tmp_path / 'run'))
