"""The most memory that this process has held."""

from __future__ import annotations

import pathlib
import re
import resource
import sys


def mib() -> float:
  """Returns the peak resident memory of this process.

  Linux keeps it in /proc, counted from the start of the program. What getrusage says there begins
  with the size of the process that started this one (the maximum survives exec): a build launched
  by a large program would look as large as its parent. It is used where there is no /proc.

  Returns:
    MiB, never negative.

  Source: proc_pid_status(5), VmHWM; getrusage(2), ru_maxrss.
  """
  status = pathlib.Path('/proc/self/status')
  if status.exists() and (found := re.search(r'^VmHWM:\s+(\d+) kB', status.read_text(), re.M)):
    return int(found[1]) / 2**10
  # macOS counts bytes, other systems kilobytes.
  unit = 2**20 if sys.platform == 'darwin' else 2**10
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
