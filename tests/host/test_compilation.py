"""Compiled programs are found again by the next process, where the user wants it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from lesionjax.host import compilation
from lesionjax.models import cnn

CODE = """
import jax, jax.numpy as jnp
from lesionjax.host import compilation
print(compilation.keep_compiled())
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
seen = []
jax.monitoring.register_event_listener(lambda event, **_: seen.append(event))
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((7, 7))).block_until_ready()
print('/jax/compilation_cache/cache_hits' in seen)
"""


def run(**variables: str) -> list[str]:
  environment = {k: v for k, v in os.environ.items() if not k.startswith(('JAX_COMP', 'JAX_PERS'))}
  done = subprocess.run(
    [sys.executable, '-c', CODE],
    env={**environment, **variables, 'JAX_PLATFORMS': 'cpu'},
    cwd=pathlib.Path(__file__).resolve().parents[2],
    capture_output=True,
    text=True,
    check=True,
  )
  return done.stdout.split()


def test_the_next_process_finds_what_was_compiled(tmp_path):
  first, second = run(XDG_CACHE_HOME=str(tmp_path)), run(XDG_CACHE_HOME=str(tmp_path))
  assert first[0] == second[0]
  assert first[0].startswith(str(tmp_path / 'lesionjax' / 'compiled-'))
  assert (first[1], second[1]) == ('False', 'True')


def test_the_environment_decides(tmp_path, monkeypatch):
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', '')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert compilation.keep_compiled() is None
  assert os.listdir(tmp_path) == []


def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch):
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR')
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  assert compilation.keep_compiled() is None


@pytest.mark.parametrize('flags', ['flags : sse avx\n', 'flags : sse\n'])
def test_processors_are_told_apart(flags, tmp_path, monkeypatch):
  real = open

  def fake(path, *arguments):
    if path == '/proc/cpuinfo':
      (tmp_path / 'cpuinfo').write_text(flags)
      path = tmp_path / 'cpuinfo'
    return real(path, *arguments)

  here = compilation._processor()
  monkeypatch.setattr('builtins.open', fake)
  assert compilation._processor() != here


def test_what_runs_once_draws_the_same_bits():
  model = cnn.CNN(3, widths=(4, 8), dense_features=8)

  def draw(options):
    init = jax.jit(lambda key, image: model.init(key, image), compiler_options=options)
    return init(jax.random.key(5), np.zeros((1, 16, 16, 3), np.float32))

  assert compilation.once()  # tests run on a CPU
  jax.tree.map(np.testing.assert_array_equal, draw(compilation.once()), draw(None))
