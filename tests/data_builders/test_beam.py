"""The same records on Apache Beam; runs where the extra `beam` is installed."""

from __future__ import annotations

import importlib.util
import os

import pytest

from data_builders import build, sharded
from data_builders.errors import UserError

from . import ham_fixture, isic_fixture, reading

WITH_BEAM = importlib.util.find_spec('apache_beam') is not None
needs_beam = pytest.mark.skipif(not WITH_BEAM, reason='the extra beam is not installed')
# Beam's own.
pytestmark = pytest.mark.filterwarnings('default')


@needs_beam
@pytest.mark.parametrize('name', ['ham10000', 'ham10000/grouped-binary-pad24-hair17-clahe'])
def test_beam_writes_the_same_records(name, tmp_path, monkeypatch):
  monkeypatch.setattr(sharded, 'MAX_SHARD_BYTES', 8000)
  manual_dir = ham_fixture.write(tmp_path / 'manual')
  here = build.prepare(name, tmp_path / 'here', manual_dir, progress=False, num_workers=1)
  beam = build.prepare(name, tmp_path / 'beam', manual_dir, progress=False, beam_options=[])

  for split, info in here.info.splits.items():
    assert reading.raw_records(beam, split) == reading.raw_records(here, split)
    assert beam.info.splits[split].shard_lengths == info.shard_lengths
  assert here.info.splits['train'].num_shards > 3


@needs_beam
def test_what_is_missing_and_what_is_damaged_are_told_alike(tmp_path, capsys):
  rows = isic_fixture.truth_2019()
  images = isic_fixture.jpegs([row['image'] for row in rows])
  images.pop(rows[3]['image'])
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual', images=images)
  arguments = [
    'isic2019',
    f'--manual_dir={manual_dir}',
    f'--data_dir={tmp_path / "data"}',
    '--beam',
  ]
  assert build.main(['build', *arguments, '--allow_missing']) == 0
  assert '1 records of the tables lacked an image' in capsys.readouterr().out

  name = rows[5]['image']
  isic_fixture.write_2019(manual_dir, images=images | {name: images[name][:-40]})
  assert build.main(['build', *arguments, '--allow_missing', '--overwrite']) == 1
  error = capsys.readouterr().err.splitlines()[-1]
  assert error.startswith('Error: ')
  assert f'{name}.jpg is a truncated JPEG' in error
  # What was there is still there.
  assert build.make_builder('isic2019', tmp_path / 'data').info.splits.total_num_examples == 39


@pytest.mark.skipif(WITH_BEAM, reason='apache-beam is here')
def test_without_beam_the_extra_is_named(tmp_path):
  with pytest.raises(UserError, match=r"pip install 'lesionjax\[beam\]'"):
    build.prepare('ham10000', tmp_path, '/no/such', beam_options=[])


def test_what_is_drawn_is_not_for_beam(tmp_path):
  with pytest.raises(UserError, match='without --beam'):
    build.prepare('synthetic_dermoscopy/tiny', tmp_path, beam_options=[])
  assert os.listdir(tmp_path) == []
