"""A build that fails, is killed or meets another leaves all or nothing."""

from __future__ import annotations

import os
import pathlib
import signal
import threading
import time

import pytest
import tensorflow_datasets as tfds

from data_builders import build, locks, sharded
from data_builders.errors import UserError

from . import ham_fixture
from .running import run


@pytest.fixture(scope='module')
def manual_dir(tmp_path_factory):
  """Returns a complete tiny manual directory."""
  return ham_fixture.write(tmp_path_factory.mktemp('manual'))


def test_overwriting_keeps_the_old_data_until_the_new_are_there(manual_dir, tmp_path, monkeypatch):
  before = build.prepare('ham10000', tmp_path, manual_dir, progress=False)
  first = before.as_data_source('train')[0]['image_id']
  fail_at(monkeypatch, 30, UserError('stop here'))
  with pytest.raises(UserError, match='stop here'):
    build.prepare('ham10000', tmp_path, manual_dir, progress=False, overwrite=True)
  assert build.make_builder('ham10000', tmp_path).as_data_source('train')[0]['image_id'] == first

  monkeypatch.undo()
  old = os.stat(before.data_path).st_ino
  after = build.prepare('ham10000', tmp_path, manual_dir, progress=False, overwrite=True)
  assert os.stat(after.data_path).st_ino != old
  assert os.listdir(after.data_path.parent) == ['2.0.0']


def fail_at(monkeypatch: pytest.MonkeyPatch, count: int, error: Exception) -> None:
  """Lets a build fail at its n-th record."""
  real = sharded.ordered_map

  def failing(function, items):
    for result in real(function, items):
      nonlocal count
      count -= 1
      if count < 0:
        raise error
      yield result

  monkeypatch.setattr(sharded, 'ordered_map', failing)


@pytest.mark.parametrize(
  ('error', 'sentence'),
  [
    (OSError(28, 'No space left on device'), r'\(No space left on device\); nothing was kept'),
    (RuntimeError('write() failed: No space left on device; writing'), 'No space left on device'),
    (OSError(30, 'Read-only file system'), 'Read-only file system'),
  ],
)
def test_a_failing_disk_leaves_nothing(manual_dir, tmp_path, monkeypatch, error, sentence):
  fail_at(monkeypatch, 30, error)
  with pytest.raises(UserError, match=f'could not be written below {tmp_path}.*{sentence}'):
    build.prepare('ham10000', tmp_path / 'data', manual_dir, progress=False)

  assert os.listdir(tmp_path) == []


def test_defects_of_ours_keep_their_traceback(manual_dir, tmp_path, monkeypatch):
  fail_at(monkeypatch, 30, RuntimeError('a defect'))
  with pytest.raises(RuntimeError, match='a defect'):
    build.prepare('ham10000', tmp_path / 'data', manual_dir, progress=False)

  assert os.listdir(tmp_path) == []


def test_a_full_disk_for_real(manual_dir, tmp_path):
  # A limit on the size of files stands in for the disk: ArrayRecord's writer meets it.
  code = """
import resource, signal, sys
from data_builders import build
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(build.main(['build', *sys.argv[1:]]))
"""
  done = run('ham10000', f'--manual_dir={manual_dir}', f'--data_dir={tmp_path / "data"}', code=code)

  assert done.returncode == 1
  assert 'could not be written below' in done.stderr.splitlines()[-1]
  assert os.listdir(tmp_path) == []


def test_a_data_dir_that_is_a_file(manual_dir, tmp_path):
  (tmp_path / 'data').write_bytes(b'')
  with pytest.raises(UserError, match=r'could not be written below .*data'):
    build.prepare('ham10000', tmp_path / 'data', manual_dir, progress=False)


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_build_leaves_nothing_that_loads(manual_dir, tmp_path, number):
  code = f"""
import os, runpy, sys
from data_builders import sharded
real = sharded.ordered_map
def killed(function, items):
  for count, result in enumerate(real(function, items)):
    if count == 20:
      os.kill(os.getpid(), {number})
    yield result
sharded.ordered_map = killed
runpy.run_module('data_builders.build', run_name='__main__')
"""
  done = run('ham10000', f'--manual_dir={manual_dir}', f'--data_dir={tmp_path}', code=code)
  assert done.returncode == (-number if number == signal.SIGKILL else 128 + number), done.stderr
  leftovers = list(tmp_path.glob('ham10000/grouped/incomplete.*'))
  assert len(leftovers) == (number == signal.SIGKILL)
  assert not build.make_builder('ham10000', tmp_path).data_path.exists()
  with pytest.raises(OSError, match='Could not read dataset info'):
    tfds.builder_from_directory(tmp_path / 'ham10000' / 'grouped' / '2.0.0')

  builder = build.prepare('ham10000', tmp_path, manual_dir, progress=False)
  assert sum(split.num_examples for split in builder.info.splits.values()) == 60
  assert os.listdir(tmp_path / 'ham10000' / 'grouped') == ['2.0.0']


def test_a_killed_build_with_worker_processes_leaves_nothing_that_loads(manual_dir, tmp_path):
  code = """
import os, runpy, signal, sys
from data_builders import pool
real = pool.Processes.map
def killed(self, function, items, chunk=8):
  for count, result in enumerate(real(self, function, items, chunk=2)):
    if count == 20:
      print(*self._executor._processes, file=sys.__stdout__, flush=True)
      os.kill(os.getpid(), signal.SIGKILL)
    yield result
pool.Processes.map = killed
runpy.run_module('data_builders.build', run_name='__main__')
"""
  name = 'ham10000/grouped-stretch24-hair17'
  arguments = (f'--manual_dir={manual_dir}', f'--data_dir={tmp_path}', '--num_workers=2')
  done = run(name, *arguments, code=code)
  assert done.returncode == -signal.SIGKILL, done.stderr
  workers = [int(number) for number in done.stdout.split()]
  assert len(workers) == 2
  give_up = time.monotonic() + 20
  while any(pathlib.Path(f'/proc/{number}').exists() for number in workers):
    assert time.monotonic() < give_up, 'workers outlive the build'
    time.sleep(0.05)
  assert not build.make_builder(name, tmp_path).data_path.exists()

  again = run(name, *arguments)
  assert again.returncode == 0, again.stderr
  builder = build.make_builder(name, tmp_path)
  assert sum(split.num_examples for split in builder.info.splits.values()) == 60
  assert os.listdir(builder.data_path.parent) == ['2.0.0']


def test_one_build_at_a_time(tmp_path):
  target = tmp_path / 'name' / 'config' / '1.0.0'
  inside, most = 0, 0
  guard = threading.Lock()

  def work():
    nonlocal inside, most
    for _ in range(5):
      with locks.building(target, tmp_path / 'name'):
        with guard:
          inside += 1
          most = max(most, inside)
        time.sleep(0.002)
        with guard:
          inside -= 1

  threads = [threading.Thread(target=work) for _ in range(4)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()

  assert most == 1
  assert os.listdir(tmp_path) == []
