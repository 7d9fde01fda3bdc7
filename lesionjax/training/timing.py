"""How long an epoch takes, and a trace of a few steps."""

from __future__ import annotations

import time

import jax

from lesionjax.training.state import State


class Clock:
  """Seconds and images per second of an epoch, and seconds since the last save."""

  def __init__(self, step: int) -> None:
    self._step = step
    self._epoch_start = self._lap_start = time.perf_counter()
    self.epoch: dict[str, float] = {}

  def stop_epoch(self, step: int, batch_size: int) -> None:
    """Ends the epoch, of which a resumed run has made only a part."""
    now = time.perf_counter()
    wall_s, self._epoch_start = now - self._epoch_start, now
    images, self._step = (step - self._step) * batch_size, step
    self.epoch = {'images_per_s': images / wall_s, 'wall_s': wall_s}

  def lap(self) -> float:
    now = time.perf_counter()
    seconds, self._lap_start = now - self._lap_start, now
    return seconds


class Trace:
  """Traces five steps, after compilation where the run is long enough; `with` ends a cut one."""

  def __init__(self, directory: str, first: int):
    self._directory, self._first = directory, first
    self._running = False

  def before(self, done: int, state: State) -> None:
    """Starts or stops, after `done` steps of this start."""
    if self._directory and done == self._first:
      jax.profiler.start_trace(self._directory)
      self._running = True
    elif self._running and done == self._first + 5:
      jax.block_until_ready(state)  # steps run behind the host
      self._stop()

  def __enter__(self) -> None:
    pass

  def __exit__(self, *exc: object) -> None:
    if self._running:
      self._stop()

  def _stop(self) -> None:
    jax.profiler.stop_trace()
    self._running = False
