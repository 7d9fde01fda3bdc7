"""SIGTERM and Ctrl-C: finish the step, save, and say how to go on."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np


class Interrupted(Exception):
  """The run was asked to stop; the message says how to go on."""

  def __init__(self, step: int | None = None):
    """Of a run whose state is saved at `step`; None is a stop before or after training."""
    where = 'Stopped' if step is None else f'Stopped after step {step}'
    super().__init__(f'{where}; the same command carries on from there.')


@contextlib.contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
  """Turns SIGTERM into `Interrupted` where no step is under way: at start-up, in evaluation."""

  def stop(number: int, frame: Any) -> None:
    raise Interrupted

  try:
    previous = signal.signal(signal.SIGTERM, stop)
  except ValueError:  # not the main thread
    yield
    return
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, previous)


class StopSignal:
  """Remembers SIGTERM and SIGINT, so that the step under way can finish."""

  _SIGNALS = (signal.SIGTERM, signal.SIGINT)

  def __enter__(self) -> StopSignal:
    self._seen = False
    self._previous: dict[int, Any] = {}
    try:
      for number in self._SIGNALS:
        self._previous[number] = signal.signal(number, self._remember)
    except ValueError:  # not the main thread (a notebook server, say): nothing to catch there
      self._previous = {}
    return self

  def __exit__(self, *exc: object) -> None:
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  def _remember(self, number: int, frame: Any) -> None:
    self._seen = True
    # A second one gets through at once.
    for other, handler in self._previous.items():
      signal.signal(other, handler)

  def requested(self, agree: bool) -> bool:
    """Whether to stop now; several processes ask each other where `agree`, and stop together."""
    if jax.process_count() == 1:
      return self._seen
    if not agree:
      return False
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array(self._seen))))
