"""Worker processes: same results in the same order as none, and what happens when they die."""

from __future__ import annotations

import functools
import itertools
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time

import cv2
import pytest

from data_builders import pool
from data_builders.errors import UserError


def square(number: int) -> int:
  return number * number


def unlike_seven(number: int) -> int:
  if number == 7:
    raise UserError('Seven is not allowed.')
  return number


class Awkward(Exception):
  def __init__(self, first: int, second: int):
    super().__init__(f'{first} and {second}')


def awkward(number: int) -> int:
  raise Awkward(number, number)


def dies_elsewhere(number: int, home: int) -> tuple[int, bool]:
  if number == 20 and os.getpid() != home:
    os._exit(9)
  return number, os.getpid() == home


def describe(_: int) -> tuple[int, int, str]:
  return os.getpid(), cv2.getNumThreads(), str(signal.getsignal(signal.SIGINT))


@pytest.fixture(scope='module')
def two():
  with pool.Processes(2) as processes:
    yield processes


@pytest.mark.parametrize('chunk', [1, 3, 8, 100])
def test_results_come_in_order(two, chunk):
  assert list(two.map(square, range(50), chunk=chunk)) == [n * n for n in range(50)]


def test_nothing_to_do(two):
  assert list(two.map(square, [])) == []


def test_one_worker_is_this_process_and_lazy():
  with pool.Processes(1) as processes:
    pids = {pid for pid, _, _ in processes.map(describe, range(3))}
    assert pids == {os.getpid()}
    assert list(itertools.islice(processes.map(lambda n: -n, itertools.count()), 3)) == [0, -1, -2]


def test_workers_are_other_processes_on_one_thread_deaf_to_ctrl_c(two):
  for pid, threads, handler in two.map(describe, range(8), chunk=1):
    assert pid != os.getpid()
    assert threads == 1
    assert handler == str(signal.SIG_IGN)


def test_looks_only_a_bounded_number_of_items_ahead(two):
  read = []
  numbers = (read.append(n) or n for n in range(5000))
  results = two.map(square, numbers, chunk=2)
  for turn in range(40):
    assert next(results) == turn * turn
    assert len(read) <= turn + 2 * (3 * 2 + 2)
  results.close()


@pytest.mark.parametrize('num_workers', [1, 2])
def test_an_exception_comes_at_its_turn(two, num_workers):
  processes = two if num_workers == 2 else pool.Processes(1)
  results = processes.map(unlike_seven, range(20), chunk=4)
  assert [next(results) for _ in range(7)] == list(range(7))
  with pytest.raises(UserError, match=r'^Seven is not allowed\.') as raised:
    next(results)
  assert str(raised.value) == 'Seven is not allowed.'
  if num_workers == 2:
    assert 'unlike_seven' in raised.value.__notes__[0]
  assert list(processes.map(square, [3])) == [9]


def test_an_exception_that_cannot_travel_is_told(two):
  with pytest.raises(RuntimeError, match='Awkward: 0 and 0'):
    list(two.map(awkward, range(3)))


def test_work_goes_on_here_when_workers_die(caplog):
  function = functools.partial(dies_elsewhere, home=os.getpid())
  with caplog.at_level(logging.WARNING), pool.Processes(2) as processes:
    results = list(processes.map(function, range(60), chunk=2))
    assert list(processes.map(square, [5])) == [25]
  assert [number for number, _ in results] == list(range(60))
  assert not results[0][1]
  assert results[20][1]
  assert results[-1][1]
  assert sum('goes on in one process' in line for line in caplog.messages) == 1


def test_functions_of_the_main_program_are_refused(two):
  function = function_of('__main__')
  with pytest.raises(ValueError, match='must be defined in a module'):
    list(two.map(functools.partial(function), [1]))


def function_of(module: str):
  def function(number: int) -> int:
    return number

  function.__module__ = module
  return function


def test_a_script_without_guard_runs_once():
  script = textwrap.dedent(
    """
    from data_builders import pool
    from operator import neg
    print('started')
    with pool.Processes(2) as processes:
      print(list(processes.map(neg, range(5), chunk=1)))
    """
  )
  done = subprocess.run(
    [sys.executable, '-'], input=script, capture_output=True, text=True, timeout=60, check=False
  )
  assert done.stderr == ''
  assert done.stdout == 'started\n[0, -1, -2, -3, -4]\n'


@pytest.mark.skipif(not hasattr(signal, 'SIGKILL'), reason='no SIGKILL on this system')
def test_workers_end_with_a_parent_that_is_killed():
  script = textwrap.dedent(
    """
    import os, sys, time
    from data_builders import pool
    from tests.data_builders import test_pool
    with pool.Processes(2) as processes:
      print(*{pid for pid, _, _ in processes.map(test_pool.describe, range(40), chunk=1)})
      sys.stdout.flush()
      time.sleep(60)
    """
  )
  with subprocess.Popen(
    [sys.executable, '-c', script], stdout=subprocess.PIPE, text=True
  ) as parent:
    assert parent.stdout
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert pids
    assert all(_alive(pid) for pid in pids)
    parent.kill()
  until = time.monotonic() + 10
  while any(_alive(pid) for pid in pids) and time.monotonic() < until:
    time.sleep(0.05)
  assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  try:  # an orphan that nobody has waited for yet is dead too
    with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
      return file.read().rpartition(')')[2].split()[0] != 'Z'
  except FileNotFoundError:
    return False
