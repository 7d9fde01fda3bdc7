"""metrics.jsonl, TensorBoard where installed, and the progress line."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import time
from typing import Any

import jax
from etils import epath

from lesionjax.host import files


class Writer:
  """Writes the record of a run; only the first process does.

  `metrics.jsonl` neither repeats nor loses a step: a resumed run cuts the file back to the step of
  its checkpoint, and nothing is checkpointed before its records are on disk.
  """

  def __init__(self, run_dir: epath.PathLike, resume_step: int = 0):
    """Opens the file and drops records later than `resume_step`."""
    self._path = epath.Path(run_dir) / 'metrics.jsonl'
    self._active = jax.process_index() == 0
    self._pending: list[str] = []
    self.phase = ''  # name of the phase that records belong to; '' = the run has only one
    self._board: Any = None
    if not self._active:
      return
    lines = self._path.read_text().splitlines() if self._path.exists() else []
    kept = [line for line in lines if _step_of(line) <= resume_step]
    files.write_text(self._path, ''.join(f'{line}\n' for line in kept))
    if importlib.util.find_spec('tensorboardX'):
      from tensorboardX import SummaryWriter

      folder = str(epath.Path(run_dir) / 'tensorboard')
      self._board = SummaryWriter(folder, purge_step=resume_step + 1)

  def write(self, kind: str, step: int, epoch: float, values: dict[str, Any]) -> None:
    """Queues one record.

    Args:
      kind: 'step', 'train' or 'validation'.
      step: optimiser steps made.
      epoch: the same in epochs.
      values: numbers; NaN and infinities become null.
    """
    if not self._active:
      return
    clean = {k: v if math.isfinite(v) else None for k, v in values.items()}
    head = {'kind': kind, 'step': step, 'epoch': epoch}
    if self.phase:
      head['phase'] = self.phase
    self._pending.append(json.dumps({**head, **clean}))
    if self._board:
      for name, value in values.items():
        self._board.add_scalar(f'{kind}/{name}', value, step)

  def flush(self) -> None:
    """Puts queued records on disk."""
    if not self._pending:
      return
    pending, self._pending = self._pending, []
    files.append_text(self._path, ''.join(f'{line}\n' for line in pending))
    if self._board:
      self._board.flush()

  def close(self) -> None:
    """Flushes and closes TensorBoard."""
    self.flush()
    if self._board:
      self._board.close()


def _step_of(line: str) -> float:
  try:
    return json.loads(line)['step']
  except (json.JSONDecodeError, KeyError):  # a line that was being written when the run was killed
    return math.inf


class ProgressLine:
  """One line that says how far, how fast and how long to go."""

  def __init__(self, total_steps: int, batch_size: int, start_step: int, phase: str = ''):
    """Starts the clock at `start_step`; `phase` goes before the numbers."""
    self._label = f'{phase}: ' if phase else ''
    self._total, self._batch = total_steps, batch_size
    self._start, self._begin = start_step, time.perf_counter()
    self._printed = 0.0
    self._active = jax.process_index() == 0
    self._unfinished = False

  def first(self, metrics: Any) -> None:
    """Waits for the first step and tells what it took; the rate is that of the steps after it."""
    jax.block_until_ready(metrics)
    now = time.perf_counter()
    if self._active:
      took = f'first step after {now - self._begin:.1f} s, compilation included'
      print(f'{self._label}{took}', file=sys.stderr, flush=True)
    self._start, self._begin = self._start + 1, now

  def show(self, step: int, loss: float, epoch: float) -> None:
    """Rewrites the line on a terminal; elsewhere prints one at most every 15 seconds."""
    now = time.perf_counter()
    line = f'{self._label}step {step}/{self._total}  epoch {epoch:.1f}  loss {loss:.3f}'
    if step > self._start:  # the first step, which compiles, says nothing of those to come
      rate = (step - self._start) / max(now - self._begin, 1e-9)
      left_s = (self._total - step) / max(rate, 1e-9)
      line += f'  {rate * self._batch:.0f} images/s  {_clock(left_s)} left'
    if not self._active:
      return
    if sys.stderr.isatty():
      print(f'\r{line}\x1b[K', end='', file=sys.stderr, flush=True)
      self._unfinished = True
    elif now - self._printed > 15 or step == self._total:
      print(line, file=sys.stderr, flush=True)
      self._printed = now

  def close(self) -> None:
    """Ends the line, so that what is printed next does not run into it."""
    if self._unfinished:
      print(file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f'{hours}:{minutes:02d}:{seconds:02d}' if hours else f'{minutes}:{seconds:02d}'
