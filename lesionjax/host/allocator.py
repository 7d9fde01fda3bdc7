"""Memory that a training step frees stays with the process, for the next step."""

from __future__ import annotations

import ctypes
import platform

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_TRIM_BYTES, _MMAP_BYTES = (1 << 31) - 1, 1 << 30


def keep_freed_memory() -> bool:
  """Tells glibc's allocator to keep what is freed instead of returning it to the system.

  XLA on a CPU allocates a step's temporaries anew each step. glibc maps such large blocks from
  the system and returns them at once, so that every page (50,000 for ResNet-18 at 64x64, batch 64)
  is faulted in and zeroed again: a tenth of the step. One heap for all threads, since the heaps of
  threads are too small for such blocks. Call it before jax starts its threads.

  Returns:
    Whether the allocator took the settings; False without glibc, where nothing changes.
  """
  if platform.libc_ver()[0] != 'glibc':
    return False
  mallopt = ctypes.CDLL(None).mallopt
  settings = ((_MMAP_THRESHOLD, _MMAP_BYTES), (_TRIM_THRESHOLD, _TRIM_BYTES), (_ARENA_MAX, 1))
  return all(mallopt(name, value) == 1 for name, value in settings)
