"""Official files: found by hand or downloaded, and checked against what is published."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import json
import threading

import pytest

from data_builders import build, downloads
from data_builders.errors import UserError
from data_builders.ham10000 import ham10000_dataset_builder as ham10000

from . import ham_fixture

ONE = downloads.OfficialFile('one.zip', 'https://example.org/1', md5='0' * 32)
TWO = downloads.OfficialFile('two.csv', 'https://example.org/2', other_names=('two',))


class QuietHandler(http.server.SimpleHTTPRequestHandler):
  """Serves a directory and keeps count."""

  requests: list[str]

  def do_GET(self):
    self.requests.append(self.path)
    super().do_GET()

  def log_message(self, *_):
    pass


@pytest.fixture
def served(tmp_path, monkeypatch):
  """Serves the tiny HAM10000; yields (files at their addresses, requested paths)."""
  root = ham_fixture.write(tmp_path / 'server')
  QuietHandler.requests = []
  server = http.server.ThreadingHTTPServer(
    ('127.0.0.1', 0), functools.partial(QuietHandler, directory=str(root))
  )
  thread = threading.Thread(target=server.serve_forever)
  thread.start()
  monkeypatch.setenv('NO_PROXY', '*')
  address = f'http://127.0.0.1:{server.server_port}'
  files = tuple(
    dataclasses.replace(
      file,
      url=f'{address}/{file.name}',
      md5=hashlib.md5((root / file.name).read_bytes()).hexdigest(),
      sha256=None,
    )
    for file in ham10000.Builder.FILES
  )
  monkeypatch.setattr(ham10000.Builder, 'FILES', files)
  yield files, QuietHandler.requests
  server.shutdown()
  thread.join()
  server.server_close()


def test_manual_files_under_any_of_their_names(tmp_path):
  (tmp_path / 'one.zip').write_bytes(b'')
  (tmp_path / 'two').write_bytes(b'')

  assert downloads.manual_paths(tmp_path, [ONE, TWO]) == {
    'one.zip': tmp_path / 'one.zip',
    'two.csv': tmp_path / 'two',
  }


def test_a_missing_manual_file_says_from_where_to_where(tmp_path):
  (tmp_path / 'one.zip').write_bytes(b'')

  with pytest.raises(UserError) as caught:
    downloads.manual_paths(tmp_path, [ONE, TWO])

  assert 'two.csv is missing' in str(caught.value)
  assert f'https://example.org/2 to {tmp_path / "two.csv"}' in str(caught.value)


def test_a_missing_manual_directory_names_everything_needed(tmp_path):
  with pytest.raises(UserError, match=r'absent does not exist.*one\.zip from.*two\.csv from'):
    downloads.manual_paths(tmp_path / 'absent', [ONE, TWO])


def test_fingerprints_by_hand(tmp_path):
  path = tmp_path / 'abc'
  path.write_bytes(b'abc')
  # The published test vectors of MD5 (RFC 1321) and SHA-256 (FIPS 180-2).
  md5 = '900150983cd24fb0d6963f7d28e17f72'
  sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'

  def official(**checksums: str):
    file = downloads.OfficialFile('abc', '', **checksums)
    measured = downloads.fingerprint(path, file)
    assert (measured['bytes'], measured['sha256']) == (3, sha256)
    return measured['official']

  assert official() is None
  assert official(md5=md5) is True
  assert official(sha256=sha256, md5=md5) is True
  assert official(md5='0' * 32) is False
  assert official(sha256=sha256, md5='0' * 32) is False


def test_builds_from_downloads_and_keeps_them(served, tmp_path):
  files, requested = served
  builder = build.prepare('ham10000', tmp_path / 'data', progress=False)
  assert sum(split.num_examples for split in builder.info.splits.values()) == 60
  assert sorted(requested) == sorted(f'/{file.name}' for file in files)

  sources = json.loads((builder.data_path / 'metadata.json').read_text())['sources']
  data = (tmp_path / 'server' / files[0].name).read_bytes()
  assert sources[files[0].name] == {
    'bytes': len(data),
    'sha256': hashlib.sha256(data).hexdigest(),
    'official': True,
  }
  build.prepare('ham10000/random', tmp_path / 'data', progress=False)
  assert len(requested) == len(files)


def test_another_file_than_the_published_one_is_not_kept(served, tmp_path, monkeypatch):
  files, requested = served
  wrong = (*files[:-1], dataclasses.replace(files[-1], md5='0' * 32))
  monkeypatch.setattr(ham10000.Builder, 'FILES', wrong)

  for _ in range(2):
    with pytest.raises(UserError, match=r'tschandl\.zip .*does not have the published checksum'):
      build.prepare('ham10000', tmp_path / 'data', progress=False)

  assert requested.count(f'/{files[-1].name}') == 2
  assert not (tmp_path / 'data' / 'ham10000').exists()


def test_a_file_that_the_server_lacks(served, tmp_path, monkeypatch):
  files, _ = served
  absent = dataclasses.replace(files[0], url=files[0].url + '.absent')
  monkeypatch.setattr(ham10000.Builder, 'FILES', (absent, *files[1:]))

  with pytest.raises(UserError, match=r'part_1\.zip\.absent could not be downloaded .*404'):
    build.prepare('ham10000', tmp_path / 'data', progress=False)


def test_a_server_that_does_not_answer(tmp_path, monkeypatch):
  monkeypatch.setenv('NO_PROXY', '*')
  file = downloads.OfficialFile('a.zip', 'http://127.0.0.1:1/a.zip')
  monkeypatch.setattr(ham10000.Builder, 'FILES', (file,))

  with pytest.raises(UserError, match=r'a\.zip could not be reached .* pass it with --manual_dir'):
    build.prepare('ham10000', tmp_path / 'data', progress=False)

  assert not (tmp_path / 'data').exists()
