"""Training runs in programs of their own, to be killed and started again; what they leave."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from lesionjax import config as config_lib
from lesionjax import experiment
from lesionjax.runs.pieces import Pieces
from lesionjax.training.writer import Writer

if TYPE_CHECKING:
  from ml_collections import ConfigDict

PARTS = ('weights', 'rest')
# Runs `train` on the configuration in argv[1] in the directory argv[2]; sends itself the signal
# argv[5] when the record `argv[3]` of step argv[4] is about to be written. Says which step it began
# with: starting over instead of resuming would leave the same files.
RUNNER = """
import json, os, sys
from lesionjax import config, modes
from lesionjax.host import processes
from lesionjax.training import writer

values, workdir, kind, step, number = sys.argv[1:]
write = writer.Writer.write
began = []

def write_or_die(self, found, at, *rest):
  if not began:
    began.append(at)
    print(f'began with step {at}', flush=True)
  if (found, at) == (kind, int(step)):
    os.kill(os.getpid(), int(number))
  write(self, found, at, *rest)

writer.Writer.write = write_or_die
if 'JAX_NUM_PROCESSES' in os.environ:
  processes.start()
with open(values) as file:
  settings = config.from_dict(json.load(file))
modes.run('train', settings, workdir)
"""


def start(
  config: ConfigDict,
  workdir: pathlib.Path,
  kind: str = '',
  step: int = 0,
  number: int = signal.SIGKILL,
  **environment: str,
) -> subprocess.Popen[str]:
  """Starts a training that sends itself a signal at a record, or none, and does not wait."""
  values = pathlib.Path(f'{workdir}.json')
  values.write_text(json.dumps(config_lib.to_dict(config)))
  return subprocess.Popen(
    [sys.executable, '-c', RUNNER, str(values), str(workdir), kind, str(step), str(int(number))],
    env={**os.environ, **environment},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def finish(process: subprocess.Popen[str], returncode: int = 0) -> str:
  """Waits for a program, checks how it ended and returns what it printed."""
  out, err = process.communicate(timeout=300)
  assert process.returncode == returncode, err[-3000:]
  return out


class Killed(Exception):
  """Raised by a run that `train_here` lets die."""


def train_here(config, run_dir, monkeypatch, kind='', at=0):
  """Trains in this process, without evaluation; dies before a record `kind` of step `at`."""
  write = Writer.write

  def write_or_die(self, found, step, *rest):
    if (found, step) == (kind, at):
      raise Killed
    write(self, found, step, *rest)

  with monkeypatch.context() as patch:
    patch.setattr(Writer, 'write', write_or_die)
    pieces = Pieces.of(config)
    run_dir.mkdir(exist_ok=True)
    return experiment._train(pieces, experiment.run_directory.locate(run_dir))


def records(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """Returns metrics.jsonl without what a clock says."""
  lines = (pathlib.Path(workdir) / 'metrics.jsonl').read_text().splitlines()
  return [
    {key: value for key, value in json.loads(line).items() if not key.endswith('_s')}
    for line in lines
  ]


def saved(workdir: pathlib.Path, step: int) -> dict[str, Any]:
  """Returns the arrays of a checkpoint."""
  path = pathlib.Path(workdir) / 'checkpoints' / str(step)
  like = {name: ocp.metadata(path, checkpointable_name=name).metadata for name in PARTS}
  device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  like = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), like
  )
  return ocp.load_checkpointables(path, like)


def assert_identical(one: Any, other: Any) -> None:
  """Checks that two trees hold the same bits."""
  flat, flat_other = jax.tree.leaves(one), jax.tree.leaves(other)
  assert len(flat) == len(flat_other) > 10
  for a, b in zip(flat, flat_other, strict=True):
    np.testing.assert_array_equal(a, b)
