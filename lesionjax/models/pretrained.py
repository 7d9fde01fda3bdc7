"""ImageNet weights: fetched or local safetensors -> checked against the model -> its variables.

Never a pickle: reading one runs whatever its author wrote.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from data_builders.errors import UserError
from lesionjax.models import find_model, hub
from lesionjax.models.convert import convert

_PICKLES = ('.pth', '.pt', '.bin', '.pkl', '.pickle', '.ckpt', '.tar')
# Parts of a reference that an option of ours, or the encoder of a segmenter, leaves out as a whole.
_OPTIONAL = ('dense1', 'dense2', 'head')


@dataclasses.dataclass(frozen=True)
class Summary:
  """What `merge` did with every parameter; paths such as 'params/head/kernel'.

  Attributes:
    loaded: taken from the weights.
    reinitialised: kept as initialised, as asked.
    unused: in the weights, under a part that is initialised anew or that the model leaves out.
  """

  loaded: tuple[str, ...]
  reinitialised: tuple[str, ...]
  unused: tuple[str, ...]

  def __str__(self) -> str:
    """One line; missing and unexpected parameters never get this far."""
    return (
      f'{len(self.loaded)} tensors loaded, {len(self.reinitialised)} re-initialised'
      f'{_listed(self.reinitialised)}, 0 missing, 0 unexpected, {len(self.unused)} of the weights '
      f'unused{_listed(self.unused)}'
    )


def initialise(
  name: str, source: str, init: Any, reinit: tuple[str, ...] = ('head',)
) -> tuple[dict[str, Any], Summary]:
  """Variables of a model with ImageNet weights.

  Args:
    name: key of `MODELS`.
    source: 'imagenet', or the path of a safetensors file with timm's names.
    init: the model's initialised variables.
    reinit: modules that stay as initialised; the head's classes are never ImageNet's.

  Returns:
    The variables and what was done.

  Raises:
    UserError: see `hub.fetch`, `load_safetensors` and `merge`; a model without weights.
  """
  spec = find_model(name)
  if not spec.family or spec.pretrained is None:
    raise UserError(f'model {name!r} has no pretrained weights: use another or train from scratch')
  fetched = source == 'imagenet'
  if fetched:
    path, sha256 = hub.fetch(name, spec.pretrained)
  else:
    path, sha256 = pathlib.Path(source).expanduser(), None
  flat = load_safetensors(path, sha256)
  try:
    merged = merge(convert(spec.family, flat), init, reinit)
    if fetched and spec.pretrained.sha256 is None:
      hub.record(spec.pretrained, path)
    return merged
  except UserError as error:
    raise UserError(f'{path} does not fit model {name!r}: {error}') from error


def load_safetensors(path: str | os.PathLike[str], sha256: str | None = None) -> dict[str, Any]:
  """Reads a safetensors file.

  Args:
    path: the file.
    sha256: what its content must hash to, in hexadecimal; None: anything.

  Returns:
    Name -> array.

  Raises:
    UserError: no such file, a pickle, truncated or another format, the wrong content.
  """
  path = pathlib.Path(path)
  refusal = 'convert it with timm (`safetensors.torch.save_file`) on a machine that trusts it'
  if path.suffix.lower() in _PICKLES:
    raise UserError(f'{path} is a pickle, which runs code when read, and is refused: {refusal}')
  if not path.is_file():
    raise UserError(f'no weights at {path}: name a .safetensors file')
  with path.open('rb') as file:
    start = file.read(9)
  # A zip archive as torch.save writes it, or a bare pickle; safetensors may begin with the same
  # bytes, the length of its header, but go on with the brace of that header.
  if start[:4] == b'PK\x03\x04' or (start[:1] == b'\x80' and start[8:] != b'{'):
    raise UserError(f'{path} holds a pickle under another name and is refused: {refusal}')
  found = file_sha256(path) if sha256 else None
  if found != sha256:
    raise UserError(
      f'{path} has sha256 {found}, not {sha256}: it is damaged or another file; delete it and '
      f'download it again, or, if it is what you want, take its entry out of {hub.pins_path()}'
    )
  safetensors = hub.import_extra('safetensors')
  numpy_format = hub.import_extra('safetensors.numpy')
  try:
    return numpy_format.load_file(path)
  except (safetensors.SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
    raise UserError(
      f'{path} is truncated or no safetensors file ({error}): download it again'
    ) from error


def file_sha256(path: pathlib.Path) -> str:
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def merge(
  loaded: Mapping[str, Any], init: Any, reinit: tuple[str, ...] = ('head',)
) -> tuple[dict[str, Any], Summary]:
  """Puts converted weights into a model's variables; every key, shape and dtype is checked.

  Args:
    loaded: {'params': ..., 'batch_stats': ...} from `convert`.
    init: the model's initialised variables, or their shapes where nothing is re-initialised.
    reinit: modules that stay as initialised, such as 'head' or 'stage4_block2/conv1'.

  Returns:
    Variables of init's structure, and the summary.

  Raises:
    UserError: missing or unexpected parameters, another shape or dtype, a part to re-initialise
      that the model does not have.
  """
  wanted: dict[str, Any] = traverse_util.flatten_dict(init, sep='/')
  given: dict[str, Any] = traverse_util.flatten_dict(dict(loaded), sep='/')
  for part in reinit:
    if not any(_under(path, part) for path in wanted):
      modules = ', '.join(sorted({path.split('/')[1] for path in wanted}))
      raise UserError(f'nothing to re-initialise is called {part!r}: modules are {modules}')
  fresh = {path for path in wanted if any(_under(path, part) for part in reinit)}
  absent = tuple(p for p in _OPTIONAL if not any(_under(path, p) for path in wanted))
  unused = {path for path in given if any(_under(path, part) for part in (*reinit, *absent))}
  unused -= wanted.keys() - fresh
  _check_keys(wanted.keys() - fresh, given.keys() - unused)
  for path in sorted(wanted.keys() - fresh):
    _check_array(path, given[path], wanted[path])
  merged = {path: wanted[path] if path in fresh else given[path] for path in wanted}
  summary = Summary(
    tuple(sorted(wanted.keys() - fresh)), tuple(sorted(fresh)), tuple(sorted(unused))
  )
  return traverse_util.unflatten_dict(merged, sep='/'), summary


def _under(path: str, part: str) -> bool:
  """Whether 'params/a/b/kernel' lies in the module 'a' or 'a/b'."""
  return f'{path.partition("/")[2]}/'.startswith(f'{part}/')


def _check_keys(wanted: set[str], given: set[str]) -> None:
  missing, unexpected = sorted(wanted - given), sorted(given - wanted)
  if missing or unexpected:
    raise UserError(
      f'{len(missing)} parameters are missing from the weights{_listed(missing)} and '
      f'{len(unexpected)} are unexpected{_listed(unexpected)}: take the weights of this model'
    )


def _check_array(path: str, given: np.ndarray, wanted: jax.ShapeDtypeStruct | jax.Array) -> None:
  if not np.isfinite(given).all():
    raise UserError(f'{path} holds NaN or infinite numbers in the weights: take undamaged ones')
  if given.shape != wanted.shape:
    raise UserError(
      f'{path} has shape {given.shape} in the weights and {wanted.shape} in the model: take the '
      'weights of this model, or name the module in reinit'
    )
  if given.dtype != wanted.dtype:
    raise UserError(
      f'{path} is {given.dtype} in the weights and {wanted.dtype} in the model: save them as '
      f'{wanted.dtype}'
    )


def _listed(paths: Any) -> str:
  """' (a, b, c, ...)': the first few."""
  if not paths:
    return ''
  return f' ({", ".join(list(paths)[:3])}{", ..." if len(paths) > 3 else ""})'
