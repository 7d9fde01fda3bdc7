"""One file of ImageNet weights from the Hugging Face hub: cached, pinned, its content recorded."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pathlib
from typing import Any

from data_builders.errors import UserError
from lesionjax import files
from lesionjax.models.table import Pretrained

_FILE = 'model.safetensors'


def cache_folder() -> pathlib.Path:
  """Where weights put by hand are looked for, and what was downloaded is recorded."""
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(base).expanduser() / 'lesionjax' / 'weights'


def fetch(name: str, pretrained: Pretrained) -> tuple[pathlib.Path, str]:
  """Finds the weights of a model: put there by hand, in the hub's cache, or downloaded.

  The commit and the sha256 of the first download are recorded in `cache_folder()/pins.json`
  where the table does not pin them; later calls ask for that commit and that content.

  Args:
    name: the model's name, for the message and the name of a file put by hand.
    pretrained: the entry of the table.

  Returns:
    The file, and the sha256 it must have.

  Raises:
    UserError: it cannot be downloaded; says which file to put where.
  """
  by_hand = cache_folder() / f'{name}.safetensors'
  pin = _pins().get(pretrained.repository, {})
  sha256 = pretrained.sha256 or pin.get('sha256')
  if by_hand.is_file():
    return by_hand, sha256 or _record(pretrained, by_hand, None)
  path = _download(pretrained, pretrained.revision or pin.get('revision'), by_hand)
  # The cache keeps .../snapshots/COMMIT/model.safetensors.
  return path, sha256 or _record(pretrained, path, path.parent.name)


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
  try:
    return pathlib.Path(hub.hf_hub_download(pretrained.repository, _FILE, revision=revision))
  # Its errors are requests', httpx's, its own and the system's: all mean that there is no file.
  except Exception as error:
    url = f'https://huggingface.co/{pretrained.repository}/resolve/{revision or "main"}/{_FILE}'
    raise UserError(
      f'cannot download ImageNet weights ({type(error).__name__}): fetch {url} on a machine with '
      f'network and put it at {by_hand}, or name a local .safetensors file instead of imagenet'
    ) from error


def _record(pretrained: Pretrained, path: pathlib.Path, revision: str | None) -> str:
  with path.open('rb') as file:
    sha256 = hashlib.file_digest(file, 'sha256').hexdigest()
  pins = _pins() | {pretrained.repository: {'revision': revision, 'sha256': sha256}}
  files.write_json(_pins_path(), pins)
  return sha256


def _pins() -> dict[str, dict[str, str | None]]:
  try:
    return json.loads(_pins_path().read_text(encoding='utf-8'))
  except FileNotFoundError:
    return {}
  except ValueError as error:
    raise UserError(f'{_pins_path()} is not JSON ({error}): delete it') from error


def _pins_path() -> pathlib.Path:
  return cache_folder() / 'pins.json'
