"""The peak memory of a program, whoever started it."""

import re
import subprocess
import sys

import numpy as np

from data_builders import peak_memory

# Touches 300 MiB, lets go of them and prints what is said of it.
PROGRAM = """
import mmap
held = mmap.mmap(-1, 300 * 2**20)
for page in range(0, len(held), 4096):
  held[page] = 1
held.close()
from data_builders import peak_memory
print(peak_memory.mib())
"""


def peak_of(program):
  done = subprocess.run([sys.executable, '-c', program], check=True, capture_output=True, text=True)
  return float(done.stdout)


def test_the_peak_counts_what_was_let_go_of():
  assert 300 < peak_of(PROGRAM) < 500


def test_the_peak_is_not_that_of_the_program_that_started_it():
  held = np.ones(50 * 2**20)  # 400 MiB
  small = 'from data_builders import peak_memory; print(peak_memory.mib())'

  assert peak_of(small) < held.nbytes / 2**20 <= peak_memory.mib()


def test_without_proc_the_system_call_is_asked(monkeypatch):
  monkeypatch.setattr(re, 'search', lambda *arguments: None)

  assert 10 < peak_memory.mib() < 2**20
