"""Runs the build command, or code, in a process of its own."""

from __future__ import annotations

import pathlib
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def run(*arguments: object, code: str | None = None) -> subprocess.CompletedProcess[str]:
  """Runs the command, or code, in a process of its own."""
  what = ['-c', code] if code else ['-m', 'data_builders.build']
  return subprocess.run(
    [sys.executable, '-W', 'error', *what, *map(str, arguments)],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )
