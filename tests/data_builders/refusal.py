"""A build that must be refused: in one sentence, and nothing is left."""

from __future__ import annotations

import os
import pathlib

import pytest

from data_builders import build
from data_builders.errors import UserError


def refused(name: str, manual_dir: pathlib.Path, sentence: str) -> None:
  """Builds beside a manual directory and expects an error that matches, and no other trace."""
  root = manual_dir.parent
  before = sorted(os.listdir(root))
  with pytest.raises(UserError, match=sentence):
    build.prepare(name, root / 'data', manual_dir, progress=False)
  assert sorted(os.listdir(root)) == before
