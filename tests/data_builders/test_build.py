"""The build command: what it prints, what it refuses, and that it leaves all or nothing."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
import tensorflow_datasets as tfds

import data_builders
from data_builders import build, locks, preparing, sharded
from data_builders.errors import UserError
from data_builders.ham10000 import ham10000_dataset_builder as ham10000

from . import ham_fixture

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def manual_dir(tmp_path_factory):
  """Returns a complete tiny manual directory."""
  return ham_fixture.write(tmp_path_factory.mktemp('manual'))


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


def test_the_command_prints_what_where_how_much_and_the_terms(manual_dir, tmp_path):
  done = run('ham10000', f'--manual_dir={manual_dir}', f'--data_dir={tmp_path / "data"}')

  assert done.returncode == 0, done.stderr
  assert '60/60' in done.stderr  # The progress bar.
  assert f'ham10000/grouped/2.0.0 in {tmp_path}/data/ham10000/grouped/2.0.0' in done.stdout
  assert 'Licence: CC BY-NC 4.0' in done.stdout
  assert '10.1038/sdata.2018.161' in done.stdout
  assert 'not the published file' in done.stdout
  counts = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
  columns = [counts[split] for split in ('train', 'validation', 'test')]
  totals = [sum(int(column[index]) for column in columns) for index in range(8)]
  assert totals == [60, *(ham_fixture.COUNTS[name] for name in ham10000.CLASS_NAMES)]
  assert sorted(os.listdir(tmp_path / 'data')) == ['ham10000']


def test_neither_tensorflow_nor_jax_is_imported(manual_dir, tmp_path):
  code = """
import sys
from data_builders import build
builder = build.prepare('ham10000', sys.argv[1], sys.argv[2], progress=False)
assert len(builder.as_data_source('train')[0]['image_id']) == 12
print([name for name in ('tensorflow', 'jax', 'lesionjax') if name in sys.modules])
"""
  done = run(tmp_path / 'data', manual_dir, code=code)

  assert (done.returncode, done.stdout.strip()) == (0, '[]'), done.stderr


def test_other_projects_find_the_data_sets_by_name(manual_dir, tmp_path):
  build.prepare('ham10000', tmp_path, manual_dir, progress=False)

  assert len(tfds.data_source('ham10000', split='train', data_dir=tmp_path)) > 30
  assert tfds.builder('ham10000/random', data_dir=tmp_path).builder_config.name == 'random'
  # Without this package: from the directory alone.
  read_only = tfds.builder_from_directory(tmp_path / 'ham10000' / 'grouped' / '2.0.0')
  assert len(read_only.as_data_source('test')) > 5


def test_what_is_there_is_not_built_again(manual_dir, tmp_path, monkeypatch):
  builder = build.prepare('ham10000', tmp_path, manual_dir, progress=False)
  monkeypatch.setattr(ham10000.Builder, 'read_plan', None)
  monkeypatch.setattr(preparing, '_FORMAT_NEEDS', {})

  again = build.prepare('ham10000', tmp_path, '/no/such/directory', progress=False)

  assert again.info.full_name == builder.info.full_name
  with pytest.raises(UserError, match=r"prepared in .* as 'array_record', not as 'riegeli'"):
    build.prepare('ham10000', tmp_path, file_format='riegeli', progress=False)


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


@pytest.mark.parametrize(
  ('arguments', 'sentence'),
  [
    (['ham1000'], "no data set 'ham1000'; did you mean 'ham10000'"),
    (['synthetic_dermoscopy/groped'], "'groped'; did you mean 'grouped'"),
    (['ham10000/groped'], "begins with 'groped'"),
    (['ham10000/grouped-hiar'], "'hiar' in the preprocessing"),
    (['isic2020/grouped-binary'], "leave out 'binary'"),
    (['ham10000', '--data_di=x'], "'data_di'. Did you mean: data_dir"),
    (['ham10000', '--file_format=csv'], 'array_record|tfrecord'),
    (['ham10000', 'more'], 'the name of one data set, not 2'),
    ([], 'ham10000, isic2018_task1, isic2019, isic2020, synthetic_dermoscopy'),
    (['ham10000', '--manual_dir=/no/such'], '/no/such does not exist'),
  ],
)
def test_wrong_arguments_end_with_a_sentence(arguments, sentence, capsys, tmp_path):
  assert build.main(['build', *arguments, f'--data_dir={tmp_path / "data"}']) == 1

  error = capsys.readouterr().err
  assert error.startswith('Error: ')
  assert sentence in error
  assert os.listdir(tmp_path) == []


def test_help_names_the_flags(capsys):
  assert build.main(['build', '--help']) == 0
  assert '--manual_dir' in capsys.readouterr().out


@pytest.mark.skipif(importlib.util.find_spec('tensorflow') is not None, reason='TensorFlow is here')
def test_tfrecord_without_tensorflow_is_told_before_anything_is_read(tmp_path):
  with pytest.raises(UserError, match="'tfrecord' is written with the package tensorflow"):
    build.prepare('ham10000', tmp_path, '/no/such', file_format='tfrecord')


@pytest.mark.parametrize('name', data_builders.DATASETS)
def test_every_data_set_documents_itself(name, tmp_path):
  builder = build.make_builder(name, tmp_path)
  package = REPOSITORY / 'data_builders' / name

  assert builder.name == name
  assert len(builder.info.description) > 50
  assert builder.info.redistribution_info.license
  assert {'image', 'image_id', 'group_id', 'lesion_id', 'fold'} <= set(builder.info.features)
  if 'label' in builder.info.features:
    names = [name for name in builder.info.features['label'].names if name != 'unk']
    assert names == sorted(names)
  else:
    assert 'mask' in builder.info.features
  assert {path.name for path in package.iterdir()} >= {'README.md', 'CITATIONS.bib', 'TAGS.txt'}


def test_results_come_in_order_and_only_a_few_ahead():
  started = []

  def slow(item):
    started.append(item)
    time.sleep(0.001 * (item % 3))
    return item * 10

  results = sharded.ordered_map(slow, range(100), threads=3)
  assert next(results) == 0
  assert len(started) <= 3 * 4 + 2
  assert list(results) == [item * 10 for item in range(1, 100)]


def test_an_exception_surfaces_at_its_turn():
  def fail(item):
    if item == 3:
      raise UserError('three')
    return item

  results = sharded.ordered_map(fail, range(10), threads=2)
  assert [next(results) for _ in range(3)] == [0, 1, 2]
  with pytest.raises(UserError, match='three'):
    next(results)
