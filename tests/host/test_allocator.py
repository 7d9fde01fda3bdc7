"""The allocator keeps freed memory: measured in a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Threads, since XLA allocates in its own.
PROGRAM = """
import resource, sys, threading
if sys.argv[1] == 'keep':
  from lesionjax.host.allocator import keep_freed_memory
  assert keep_freed_memory()
def work():
  for _ in range(6):
    bytearray(1 << 26)
for _ in range(2):
  thread = threading.Thread(target=work)
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  thread.start()
  thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(mode):
  command = [sys.executable, '-c', PROGRAM, mode]
  return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc only')
def test_freed_memory_is_used_again():
  assert _faults('keep') < 1000 < _faults('default')


def test_other_systems_are_left_alone(monkeypatch):
  from lesionjax.host import allocator

  monkeypatch.setattr(platform, 'libc_ver', lambda: ('', ''))
  assert not allocator.keep_freed_memory()
