"""Prepared data for the tests of this folder."""

from __future__ import annotations

import importlib.util
import pathlib
import sys

import pytest

from lesionjax.data.datasets import open_split
from lesionjax.data.records import Split


def load_fixture():
  """The module `fixture.py` beside this file; pytest's importlib mode offers no import by name."""
  name = 'tests_data_fixture'
  if name not in sys.modules:
    path = pathlib.Path(__file__).with_name('fixture.py')
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
  return sys.modules[name]


@pytest.fixture(scope='session')
def drawn():
  return load_fixture()


@pytest.fixture(scope='session')
def drawn_dir(tmp_path_factory: pytest.TempPathFactory, drawn) -> str:
  """Holds `drawn_images`, prepared."""
  data_dir = str(tmp_path_factory.mktemp('drawn'))
  drawn.DrawnImages(data_dir=data_dir, file_format='array_record').download_and_prepare()
  return data_dir


@pytest.fixture(scope='session')
def train(drawn_dir: str) -> Split:
  return open_split('drawn_images', 'train', drawn_dir)


@pytest.fixture(scope='session')
def photographs(drawn):
  """The function that draws a batch of smooth images."""
  return drawn.photographs
