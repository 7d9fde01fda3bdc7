"""Work on several cores: worker processes with the same results, in the same order, as none."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any, TypeVar

import cv2

_In = TypeVar('_In')
_Out = TypeVar('_Out')

_CHUNKS_AHEAD = 3
"""Chunks a worker that are read and computed before the consumer asks: bounds the memory."""


class Processes:
  """Worker processes; a context manager, so that they end with the work.

  They are spawned when the first item is there, import nothing of the program's main module (a
  script needs no `if __name__ == '__main__'`), run OpenCV on one thread each, and end with the
  process that started them, however that ends.
  """

  def __init__(self, num_workers: int | None = None):
    """Decides on the number of processes; starts none yet.

    Args:
      num_workers: processes to work in; 1 works in this one; None takes the number of cores.
    """
    num_workers = cores() if num_workers is None else num_workers
    self._ahead = _CHUNKS_AHEAD * num_workers
    self._executor: futures.ProcessPoolExecutor | None = None
    if num_workers > 1:
      context = multiprocessing.get_context('spawn')
      self._executor = futures.ProcessPoolExecutor(
        num_workers, mp_context=context, initializer=_start_worker
      )

  def __enter__(self) -> Processes:
    return self

  def __exit__(self, *exception: object) -> None:
    if self._executor is not None:
      self._executor.shutdown(wait=True, cancel_futures=True)

  def map(
    self, function: Callable[[_In], _Out], items: Iterable[_In], chunk: int = 8
  ) -> Iterator[_Out]:
    """Maps, in order, a bounded number of items ahead of the consumer.

    Where workers end early - killed for their memory, say - the work goes on in this process.

    Args:
      function: a pure function of one item that a module (not the main program) defines; a
        `functools.partial` of one is as good.
      items: what to map; read lazily.
      chunk: items handed to a worker at once: many small, or few large ones.

    Yields:
      The results in the order of the items. An exception surfaces at its item's turn.
    """
    if self._executor is None:
      yield from map(function, items)
      return
    _check_importable(function)
    pending: deque[tuple[list[_In], futures.Future[Any] | None]] = deque()
    rest = iter(items)
    try:
      while piece := list(itertools.islice(rest, chunk)):
        pending.append((piece, self._submit(function, piece)))
        if len(pending) > self._ahead:
          yield from self._collect(function, *pending.popleft())
      while pending:
        yield from self._collect(function, *pending.popleft())
    finally:
      for _, future in pending:
        if future is not None:
          future.cancel()

  def _submit(
    self, function: Callable[[_In], _Out], piece: list[_In]
  ) -> futures.Future[Any] | None:
    if self._executor is None:
      return None
    try:
      with _hidden_main_module():  # submitting is what starts workers
        return self._executor.submit(_run, function, piece)
    except (BrokenProcessPool, OSError) as error:
      self._give_up(error)
      return None

  def _collect(
    self,
    function: Callable[[_In], _Out],
    piece: list[_In],
    future: futures.Future[Any] | None,
  ) -> Iterator[_Out]:
    if future is not None:
      try:
        results, error = future.result()
      except BrokenProcessPool as broken:
        self._give_up(broken)
      else:
        yield from results
        if error is not None:
          raise error
        return
    yield from map(function, piece)

  def _give_up(self, error: Exception) -> None:
    if self._executor is not None:
      logging.warning('The work goes on in one process, as the workers ended early: %s', error)
      self._executor.shutdown(wait=False, cancel_futures=True)
      self._executor = None


def cores() -> int:
  """Number of cores this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _run(function: Callable[[_In], _Out], piece: list[_In]) -> tuple[list[_Out], Exception | None]:
  """Runs in a worker: results up to the first exception, and that exception."""
  results: list[_Out] = []
  for item in piece:
    try:
      results.append(function(item))
    except Exception as error:
      return results, _portable(error)
  return results, None


def _portable(error: Exception) -> Exception:
  """The exception with its traceback as a note, since tracebacks do not travel."""
  told = ''.join(traceback.format_exception(error))
  try:
    pickle.loads(pickle.dumps(error))
  except Exception:
    error = RuntimeError(f'{type(error).__name__}: {error}')
  error.add_note(f'In a worker process:\n{told}')
  return error


def _check_importable(function: Callable[..., object]) -> None:
  while isinstance(function, functools.partial):
    function = function.func
  if getattr(function, '__module__', None) == '__main__':
    raise ValueError(f'{function} must be defined in a module: workers do not run the main program')


def _start_worker() -> None:
  cv2.setNumThreads(1)
  # Ctrl-C reaches the whole process group; the parent ends its workers.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  """Ends a worker whose parent was killed: it would wait for work forever."""
  parent = multiprocessing.parent_process()
  if parent is not None:
    connection.wait([parent.sentinel])
    os._exit(1)


@contextlib.contextmanager
def _hidden_main_module() -> Iterator[None]:
  """Keeps workers that start meanwhile from importing this program's main module.

  A spawned process runs the main module again. The workers need nothing of it; in a script
  without `if __name__ == '__main__'` it would start the script anew, and in an interactive
  session there is no file to run.
  """
  main = sys.modules['__main__']
  stand_in = types.ModuleType('__main__')
  sys.modules['__main__'] = stand_in
  try:
    yield
  finally:
    sys.modules['__main__'] = main
