"""The build command: what it prints, what it refuses, and that it leaves all or nothing."""

from __future__ import annotations

import importlib.util
import os
import time

import pytest
import tensorflow_datasets as tfds

import data_builders
from data_builders import build, preparing, sharded
from data_builders.errors import UserError
from data_builders.ham10000 import ham10000_dataset_builder as ham10000

from . import ham_fixture
from .running import REPOSITORY, run


@pytest.fixture(scope='module')
def manual_dir(tmp_path_factory):
  """Returns a complete tiny manual directory."""
  return ham_fixture.write(tmp_path_factory.mktemp('manual'))


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


def test_tfds_builds_what_is_not_there_yet(tmp_path):
  ham_fixture.write(tmp_path / 'downloads' / 'manual')

  source = tfds.data_source('ham10000', split='train', data_dir=tmp_path)

  assert len(source) > 30
  assert source[0]['image'].shape == (ham_fixture.HEIGHT_PX, ham_fixture.WIDTH_PX, 3)


def test_what_is_there_is_not_built_again(manual_dir, tmp_path, monkeypatch):
  builder = build.prepare('ham10000', tmp_path, manual_dir, progress=False)
  monkeypatch.setattr(ham10000.Builder, 'read_plan', None)
  monkeypatch.setattr(preparing, '_FORMAT_NEEDS', {})

  again = build.prepare('ham10000', tmp_path, '/no/such/directory', progress=False)

  assert again.info.full_name == builder.info.full_name
  with pytest.raises(UserError, match=r"prepared in .* as 'array_record', not as 'riegeli'"):
    build.prepare('ham10000', tmp_path, file_format='riegeli', progress=False)


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
