"""Compiled programs are kept on disk, so that the second start of a recipe need not compile."""

from __future__ import annotations

import hashlib
import os
import pathlib
import platform

import jax

_MAX_BYTES = 4 * 2**30
_VARIABLE = 'JAX_COMPILATION_CACHE_DIR'


def keep_compiled() -> pathlib.Path | None:
  """Turns jax's persistent compilation cache on, unless the environment has decided already.

  It lies in the user's cache directory and holds at most 4 GiB; the oldest programs go first.
  Processors with other instructions (nodes of a cluster that share a home) have a directory each,
  since a program compiled for one may not run on another. JAX_COMPILATION_CACHE_DIR names another
  place, or none when it is empty.

  Returns:
    The directory; None where the environment has decided.

  Source: https://docs.jax.dev/en/latest/persistent_compilation_cache.html
  """
  if _VARIABLE in os.environ:
    return None
  base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  directory = pathlib.Path(base) / 'lesionjax' / f'compiled-{_processor()}'
  try:
    directory.mkdir(parents=True, exist_ok=True)
  except OSError:  # a read-only home: compile every time
    return None
  jax.config.update('jax_compilation_cache_dir', str(directory))
  jax.config.update('jax_compilation_cache_max_size', _MAX_BYTES)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.2)
  return directory


def once() -> dict[str, int] | None:
  """Options of `jax.jit` for a program that runs a single time, as the drawing of weights.

  On a CPU, LLVM with few optimisations compiles it up to four times as fast (U-Net 18 -> 4 s on two
  cores). The results have the same bits; level 0 would change them.

  Returns:
    `compiler_options`; None, which changes nothing, where the backend is no CPU.
  """
  return {'xla_backend_optimization_level': 1} if jax.default_backend() == 'cpu' else None


def _processor() -> str:
  """Tells processors with different instructions apart."""
  flags = platform.machine()
  try:
    with open('/proc/cpuinfo') as file:
      flags += next((line for line in file if line.startswith(('flags', 'Features'))), '')
  except OSError:
    pass
  return hashlib.sha256(flags.encode()).hexdigest()[:12]
