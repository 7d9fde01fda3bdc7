"""One file of ImageNet weights from the Hugging Face hub: cached, pinned, its content recorded."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pathlib
from typing import Any

import requests

from data_builders.errors import UserError
from lesionjax.host import files
from lesionjax.models.table import Pretrained

_FILE = 'model.safetensors'


def cache_folder() -> pathlib.Path:
  """Where weights put by hand are looked for, and what was downloaded is recorded."""
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(base).expanduser() / 'lesionjax' / 'weights'


def fetch(name: str, pretrained: Pretrained) -> tuple[pathlib.Path, str | None]:
  """Finds the weights of a model: put there by hand, in the hub's cache, or downloaded.

  Where the table does not pin commit and sha256, those that `record` was given are asked for.

  Args:
    name: the model's name, for the message and the name of a file put by hand.
    pretrained: the entry of the table.

  Returns:
    The file, and the sha256 it must have; None before one was recorded.

  Raises:
    UserError: it cannot be downloaded; says which file to put where.
  """
  by_hand = cache_folder() / f'{name}.safetensors'
  pin = _pins().get(pretrained.repository, {})
  sha256 = pretrained.sha256 or pin.get('sha256')
  if by_hand.is_file():
    return by_hand, sha256
  return _download(pretrained, pretrained.revision or pin.get('revision'), by_hand), sha256


def record(pretrained: Pretrained, path: pathlib.Path) -> None:
  """Remembers commit and sha256 of weights that were read and fit, in `pins_path()`."""
  if pretrained.repository in _pins():
    return
  with path.open('rb') as file:
    sha256 = hashlib.file_digest(file, 'sha256').hexdigest()
  # The hub's cache keeps .../snapshots/COMMIT/model.safetensors.
  revision = None if path.parent == cache_folder() else path.parent.name
  pins = _pins() | {pretrained.repository: {'revision': revision, 'sha256': sha256}}
  files.write_json(pins_path(), pins)


def import_extra(module: str) -> Any:
  """Imports a package that only pretrained weights need.

  Raises:
    UserError: it is not installed.
  """
  try:
    return importlib.import_module(module)
  except ModuleNotFoundError as error:
    package = module.partition('.')[0]
    raise UserError(
      f'pretrained weights need {package}, which is not installed: pip install {package}'
    ) from error


def _download(pretrained: Pretrained, revision: str | None, by_hand: pathlib.Path) -> pathlib.Path:
  hub = import_extra('huggingface_hub')
  url = f'https://huggingface.co/{pretrained.repository}/resolve/{revision or "main"}/{_FILE}'
  try:
    cached = hub.try_to_load_from_cache(pretrained.repository, _FILE, revision=revision)
    if isinstance(cached, str):
      return pathlib.Path(cached)
    # Asked once first: the client of the hub asks an unreachable host for half a minute.
    requests.head(os.environ.get('HF_ENDPOINT') or url, timeout=30)
    return pathlib.Path(hub.hf_hub_download(pretrained.repository, _FILE, revision=revision))
  # Its errors are requests', httpx's, its own and the system's: all mean that there is no file.
  except Exception as error:
    raise UserError(
      f'cannot download ImageNet weights ({type(error).__name__}): fetch {url} on a machine with '
      f'network and put it at {by_hand}, or name a local .safetensors file instead of imagenet'
    ) from error


def _pins() -> dict[str, dict[str, str | None]]:
  try:
    return json.loads(pins_path().read_text(encoding='utf-8'))
  except FileNotFoundError:
    return {}
  except ValueError as error:
    raise UserError(f'{pins_path()} is not JSON ({error}): delete it') from error


def pins_path() -> pathlib.Path:
  """Where commit and sha256 of the first weights of every repository are recorded."""
  return cache_folder() / 'pins.json'
