"""Tables are read as published, a byte order mark apart; anything else is refused by line."""

from __future__ import annotations

import pytest

from data_builders import tables
from data_builders.errors import UserError


def write(tmp_path, content: bytes | str):
  path = tmp_path / 'table.csv'
  path.write_bytes(content.encode() if isinstance(content, str) else content)
  return path


@pytest.mark.parametrize(
  'content',
  [
    'id,dx,more\na,nv,1\nb,mel,\n',
    b'\xef\xbb\xbfid,dx,more\r\na,nv,1\r\nb,mel,\r\n',
    'id , dx,more\n\n"a", nv ,1\n\nb,mel,',
  ],
)
def test_reads_what_spreadsheets_write(tmp_path, content):
  table = tables.read_table(write(tmp_path, content), ['id', 'dx'], key='id')

  assert table.rows == [
    {'id': 'a', 'dx': 'nv', 'more': '1'},
    {'id': 'b', 'dx': 'mel', 'more': ''},
  ]
  assert table.column('dx') == ['nv', 'mel']
  assert table.column('absent') == ['', '']


@pytest.mark.parametrize(
  ('content', 'sentence'),
  [
    ('', 'table.csv is empty'),
    (b'\xef\xbb\xbf \n', 'table.csv is empty'),
    ('id,dx\n', 'no rows'),
    ('id;dx\na;nv\n', 'separated by semicolons'),
    ('id\tdx\na\tnv\n', 'separated by tabs'),
    ('image,dx\na,nv\n', r'lacks the column id \(it has image, dx\)'),
    ('a\nb\n', 'lacks the columns id, dx'),
    ('id,dx,dx\na,nv,nv\n', "column 'dx' twice"),
    ('id,dx\na,nv\na,nv\n', "line 3 repeats id 'a' of line 2"),
    ('id,dx\na,nv\n,mel\n', "line 3 has no 'id'"),
    ('id,dx\na,nv,1\n', 'line 2 has 3 values where the header names 2'),
    ('id,dx\na\n', 'line 2 has 1 values'),
    ('id,dx\n"a,nv\n', 'not valid CSV'),
    ('id,dx\na,nv\n'.encode('utf-16'), 'not UTF-8'),
    ('id,dx\ncafé,nv\n'.encode('latin-1'), 'not UTF-8'),
  ],
)
def test_refuses_in_a_sentence(tmp_path, content, sentence):
  with pytest.raises(UserError, match=sentence) as caught:
    tables.read_table(write(tmp_path, content), ['id', 'dx'], key='id')

  assert 'table.csv' in str(caught.value)
  assert '\n' not in str(caught.value)


def test_lines_are_counted_past_empty_ones_and_quotes(tmp_path):
  table = tables.read_table(write(tmp_path, 'id,dx\n\n"a","n\nv"\nb,mel\n'), ['id'], key='id')

  assert table.where(1).endswith('table.csv line 5')


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(UserError, match=r'absent\.csv cannot be read'):
    tables.read_table(tmp_path / 'absent.csv', ['id'], key='id')
