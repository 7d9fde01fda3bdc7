"""The wheel alone, in an empty environment: what another project does with it."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

import pytest

from . import isic_fixture

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
UV = pathlib.Path(sys.executable).with_name('uv')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not UV.exists(), reason='uv is not installed')]


def call(*command: object, **options) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
    list(map(str, command)), capture_output=True, text=True, check=False, **options
  )


def check(done: subprocess.CompletedProcess[str]) -> None:
  """Skips where the registry cannot be reached; any other failure is one of ours."""
  offline = ('Failed to fetch', 'error sending request', 'dns error', 'Could not connect')
  if done.returncode and any(sign in done.stderr for sign in offline):
    pytest.skip(f'the package registry cannot be reached: {done.stderr[-300:]}')
  assert done.returncode == 0, done.stderr


@pytest.fixture(scope='module')
def python(tmp_path_factory):
  """Returns the Python of a new environment in which only the built wheel is installed."""
  root = tmp_path_factory.mktemp('wheel')
  source = root / 'source'
  # Of a copy: building must not write into the tree.
  for name in ('lesionjax', 'data_builders', 'pyproject.toml', 'README.md', 'LICENSE'):
    copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
    copy(REPOSITORY / name, source.mkdir(exist_ok=True) or source / name)
  check(call(UV, 'build', '--wheel', '--quiet', '--out-dir', root, source))
  environment = root / 'environment'
  call(UV, 'venv', '--quiet', '--python', sys.executable, environment)
  wheel = next(root.glob('*.whl'))
  constraints = REPOSITORY / 'constraints.txt'
  program = environment / 'bin' / 'python'
  check(call(UV, 'pip', 'install', '--quiet', '--python', program, '-c', constraints, wheel))
  return program


@pytest.fixture(scope='module')
def data_dir(python, tmp_path_factory):
  """Returns a data directory into which the installed command has built a tiny ISIC 2019."""
  root = tmp_path_factory.mktemp('elsewhere')
  manual_dir = isic_fixture.write_2019(root / 'manual')
  for config in ('', '/grouped-stretch24-hair'):
    command = [python, '-m', 'data_builders.build', f'isic2019{config}']
    done = call(*command, f'--manual_dir={manual_dir}', f'--data_dir={root / "data"}', cwd=root)
    assert done.returncode == 0, done.stderr
  return root / 'data'


def test_another_project_reads_the_splits(python, data_dir, tmp_path):
  code = f"""
import sys
import data_builders, tensorflow_datasets as tfds
source = tfds.data_source('isic2019', split='train', data_dir={str(data_dir)!r})
record = source[0]
assert record['image'].shape == (30, 40, 3), record['image'].shape
assert record['group_id'] and record['fold'] < 7
cleaned = tfds.data_source(
  'isic2019/grouped-stretch24-hair', split='test', data_dir={str(data_dir)!r}
)
assert cleaned[0]['image'].shape == (24, 24, 3)
print(len(source), [name for name in ('jax', 'tensorflow', 'torch') if name in sys.modules])
"""
  done = call(python, '-W', 'error', '-c', code, cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  count, modules = done.stdout.split(maxsplit=1)
  assert int(count) > 20
  assert modules.strip() == '[]'
  installed = call(UV, 'pip', 'list', '--python', python).stdout
  for absent in ('jax', 'tensorflow', 'torch', 'flax', 'apache-beam'):
    assert f'\n{absent} ' not in installed


def test_prepared_data_load_without_any_import_of_ours(python, data_dir, tmp_path):
  code = """
import tensorflow_datasets as tfds
print(len(tfds.data_source('isic2019', split='train')))
import sys
assert 'data_builders' not in sys.modules
"""
  environment = {'TFDS_DATA_DIR': str(data_dir), 'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path)}
  done = call(python, '-c', code, cwd=tmp_path, env=environment)
  assert done.returncode == 0, done.stderr
  assert int(done.stdout) > 20


@pytest.mark.parametrize(
  'code', ["import lesionjax; lesionjax.load('run')", 'import lesionjax.training.loop',
           'from lesionjax import experiment'],
)  # fmt: skip
def test_the_training_side_names_the_extra(python, code, tmp_path):
  done = call(python, '-c', code, cwd=tmp_path)
  assert done.returncode == 1
  assert "pip install 'lesionjax[cpu]'" in done.stderr.splitlines()[-1]


def test_the_audit_needs_no_training_side(python, tmp_path):
  rows = [{'image': f'i{n}', 'lesion_id': f'l{n // 2}', 'split': ('train', 'test')[n % 2]}
          for n in range(6)]  # fmt: skip
  (tmp_path / 'table.csv').write_bytes(isic_fixture.table(rows))
  command = [python, '-m', 'lesionjax.evaluation.audit', 'table.csv', '--split=split']
  done = call(*command, '--group=lesion_id', cwd=tmp_path)
  assert (done.returncode, done.stderr) == (1, ''), done.stdout
  assert 'LEAKS' in done.stdout
