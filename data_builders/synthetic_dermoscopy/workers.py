"""Drawing on several cores: a spawn pool with the same results, in the same order, as none."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import sys
import types
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool

import cv2

from data_builders.synthetic_dermoscopy.photograph import draw_records
from data_builders.synthetic_dermoscopy.plan import Photograph

Shots = list[Photograph]
Records = list[dict[str, bytes]]

_LESIONS_PER_TASK = 8
_FEWER_THAN_THIS_IN_PROCESS = 300
"""Starting workers takes longer than drawing so few photographs."""


class Painters:
  """Worker processes that draw; a context manager, so that they end with the work."""

  def __init__(self, num_photographs: int, num_workers: int | None = None):
    """Decides on the number of processes; starts none yet.

    Args:
      num_photographs: how many there are to draw in all.
      num_workers: processes to draw with; 1 draws in this one; None takes the number of cores
        for large sets and 1 for small ones.
    """
    if num_workers is None:
      num_workers = 1 if num_photographs < _FEWER_THAN_THIS_IN_PROCESS else _cores()
    self._pool: futures.ProcessPoolExecutor | None = None
    if num_workers > 1:
      context = multiprocessing.get_context('spawn')
      self._pool = futures.ProcessPoolExecutor(
        num_workers, mp_context=context, initializer=_start_worker
      )

  def __enter__(self) -> Painters:
    return self

  def __exit__(self, *exception: object) -> None:
    if self._pool is not None:
      self._pool.shutdown(wait=True, cancel_futures=True)

  def draw(
    self, lesions: list[Shots], side_px: int
  ) -> Iterator[tuple[Photograph, dict[str, bytes]]]:
    """Draws all photographs of all lesions, in their order.

    Args:
      lesions: for each lesion its photographs.
      side_px: side of the images.

    Yields:
      Pairs (photograph, encoded images as `draw_records` returns them). The bytes depend neither
      on the number of workers nor on how lesions are divided among them.
    """
    tasks = [
      lesions[start : start + _LESIONS_PER_TASK]
      for start in range(0, len(lesions), _LESIONS_PER_TASK)
    ]
    drawn = 0
    try:
      for results in self._draw_in_pool(tasks, side_px):
        yield from _pair(tasks[drawn], results)
        drawn += 1
    except (BrokenProcessPool, OSError) as error:
      logging.warning('Drawing goes on in one process, as the workers ended early: %s', error)
      self._pool = None
    for task in tasks[drawn:]:
      yield from _pair(task, _draw_task(task, side_px))

  def _draw_in_pool(self, tasks: list[list[Shots]], side_px: int) -> Iterator[list[Records]]:
    """Returns the results of the tasks in order; of none where there is no pool."""
    if self._pool is None:
      return
    # Workers start while the first tasks are submitted.
    with _hidden_main_module():
      pending = [self._pool.submit(_draw_task, task, side_px) for task in tasks]
    pending.reverse()
    while pending:
      yield pending.pop().result()


def _draw_task(task: list[Shots], side_px: int) -> list[Records]:
  return [draw_records(shots, side_px) for shots in task]


def _pair(
  task: list[Shots], results: list[Records]
) -> Iterator[tuple[Photograph, dict[str, bytes]]]:
  for shots, records in zip(task, results, strict=True):
    yield from zip(shots, records, strict=True)


def _start_worker() -> None:
  cv2.setNumThreads(1)


def _cores() -> int:
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


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
