"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def table(tmp_path) -> Callable[..., str]:
  """Returns a function that writes a table and returns its path."""

  def write(text: str, name: str = 'table.csv') -> str:
    path = tmp_path / name
    path.write_text(text, encoding='utf-8')
    return str(path)

  return write
