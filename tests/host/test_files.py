import json
import os
import stat

import numpy as np
import pytest
from etils import epath

from data_builders.errors import UserError
from lesionjax.host import files


def test_json_round_trip_of_numpy_and_of_what_json_cannot_say(tmp_path):
  value = {
    'array': np.arange(3, dtype=np.int32),
    'scalar': np.float32(0.5),
    'nan': float('nan'),
    'inf': np.float64('inf'),
    'tuple': (1, 'é', None, True),
  }
  files.write_json(tmp_path / 'a' / 'b.json', value)
  expected = {
    'array': [0, 1, 2], 'scalar': 0.5, 'nan': None, 'inf': None, 'tuple': [1, 'é', None, True],
  }  # fmt: skip
  assert json.loads((tmp_path / 'a' / 'b.json').read_text()) == expected


def test_json_refuses_what_it_does_not_know_and_leaves_nothing(tmp_path):
  with pytest.raises(TypeError):
    files.write_json(tmp_path / 'a.json', {'set': {1}})
  assert not list(tmp_path.iterdir())


def test_a_write_that_fails_keeps_the_old_file_and_no_other(tmp_path, monkeypatch):
  path = tmp_path / 'metrics.json'
  files.write_text(path, 'old')
  local = type(epath.Path(path))

  def half(self, content):
    with open(self, 'wb') as file:
      file.write(content[:2])
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(local, 'write_bytes', half)
  with pytest.raises(UserError, match=r'metrics\.json cannot be written \(No space left on device'):
    files.write_text(path, 'new and longer')
  assert path.read_text() == 'old'
  assert [p.name for p in tmp_path.iterdir()] == ['metrics.json']


def test_a_real_full_disk_is_told_in_one_sentence():
  if not os.path.exists('/dev/full'):
    pytest.skip('/dev/full is a Linux device')
  with pytest.raises(UserError, match='No space left on device'):
    files.append_text('/dev/full', 'x' * 10)


def test_a_file_in_place_of_a_directory_is_told_in_one_sentence(tmp_path):
  (tmp_path / 'run').write_text('')
  with pytest.raises(UserError, match=r'run/config\.json cannot be written'):
    files.write_json(tmp_path / 'run' / 'config.json', {})


def test_append_makes_and_extends(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  files.append_text(path, '1\n')
  files.append_text(path, '2\n')
  assert path.read_text() == '1\n2\n'


def test_the_file_is_as_readable_as_any_other(tmp_path):
  (tmp_path / 'plain').write_text('')
  files.write_text(tmp_path / 'ours', '')
  modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ('plain', 'ours')}
  assert len(modes) == 1
