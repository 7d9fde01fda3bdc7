"""A run's directory: whose it is, which data made it, and which lesions it has seen."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.data.records import Split
from lesionjax.host import files


def locate(workdir: epath.PathLike) -> epath.Path:
  """Returns the directory as an absolute path, which Orbax asks for, or as its gs:// address."""
  text = os.path.expanduser(os.fspath(workdir))
  return epath.Path(text if '://' in text else os.path.abspath(text))


def check(run_dir: epath.Path, config: ConfigDict) -> None:
  """Checks that the directory is new, or this configuration's already; writes nothing.

  Args:
    run_dir: the work directory.
    config: the complete configuration.

  Raises:
    UserError: when another configuration made it, or it holds something else.
  """
  # One look: another process of the run may be writing its first files meanwhile.
  names = {path.name for path in run_dir.iterdir()} if run_dir.is_dir() else set()
  if 'config.json' in names:
    found = config_lib.to_dict(read_config(run_dir))
    different = config_lib.differences(config_lib.to_dict(config), found)
    if different:
      more = f' and {len(different) - 3} more' if len(different) > 3 else ''
      raise UserError(
        f'--workdir={run_dir} was made by another configuration ({"; ".join(different[:3])}{more}'
        '): use another directory, or the configuration in its config.json.'
      )
  elif run_dir.exists() and not run_dir.is_dir():
    raise UserError(f'--workdir={run_dir} is a file: give a directory.')
  elif any(not name.endswith('.tmp') for name in names):  # killed while it wrote: as good as new
    raise UserError(
      f'--workdir={run_dir} is not empty and holds no config.json, so it is no run: use a new '
      'directory.'
    )


def has_begun(run_dir: epath.Path) -> bool:
  """Whether the directory holds a checkpoint to carry on from."""
  folder = run_dir / 'checkpoints'
  return folder.is_dir() and any(path.name.isdigit() for path in folder.iterdir())


def claim(run_dir: epath.Path, config: ConfigDict) -> None:
  """Writes the configuration; the directory is this run's from now on."""
  files.write_json(run_dir / 'config.json', config_lib.to_dict(config))


def read_config(run_dir: epath.PathLike) -> ConfigDict:
  """Returns the configuration of a run.

  Raises:
    UserError: when there is no run, or its configuration cannot be read.
  """
  missing = f'{run_dir} is not a run: it has no config.json'
  return config_lib.from_dict(read_json(run_dir, 'config.json', missing))


def class_names(run_dir: epath.PathLike) -> tuple[str, ...]:
  """Returns the names of a run's classes, in the order of its logits."""
  missing = f'{run_dir} has no data.json, so its class names are unknown'
  return tuple(read_json(run_dir, 'data.json', missing)['class_names'])


def refuse_other_data(run_dir: epath.Path, data: Mapping[str, Any]) -> None:
  """Stops when the prepared data are not those that the run was made from.

  Args:
    run_dir: the run's directory; a new one has nothing to compare.
    data: what `provenance` says of the prepared data now.

  Raises:
    UserError: naming both versions.
  """
  if not (run_dir / 'data.json').exists():
    return
  before = read_json(run_dir, 'data.json', '')
  for key, told, parts in (
    ('masks', 'lesion masks of config.data.lesion_masks', ('sha256',)),
    # Other images come of the same weights with another seed, or in other numbers.
    ('synthetic', 'generated images of config.data.synthetic', ('generator', 'seed', 'counts')),
  ):
    was, now = ({part: (d.get(key) or {}).get(part) for part in parts} for d in (before, data))
    if was != now:
      raise UserError(
        f'{run_dir} was made with other {told} ({_short(was)}; now {_short(now)}): put the former'
        ' back, or use another --workdir.'
      )
  if before['fingerprint'] != data['fingerprint']:
    was, now = (
      f'{d["name"]}/{d["config"]} {d["version"]} ({d["fingerprint"][:12]})' for d in (before, data)
    )
    raise UserError(
      f'{run_dir} was made from {was} and config.data.data_dir holds {now}, with other images, '
      'labels or splits: prepare the former again, or train in another --workdir.'
    )


def _short(parts: Mapping[str, Any]) -> str:
  """Names and values; of a SHA-256 the beginning."""
  return ', '.join(
    f'{name} {value[:12] if isinstance(value, str) else value}' for name, value in parts.items()
  )


@contextlib.contextmanager
def hold(run_dir: epath.Path) -> Iterator[None]:
  """Keeps a second start out of a directory while one trains in it.

  The operating system gives the lock back when the process ends, however it ends. Object stores
  have none.

  Raises:
    UserError: when another process trains there.
  """
  if '://' in os.fspath(run_dir) or jax.process_index() != 0:
    yield
    return
  with open(run_dir / '.lock', 'w') as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise UserError(
        f'--workdir={run_dir} is in use: another process trains there; wait for it, stop it, or '
        'use another directory (several processes of one run are started with --distributed).'
      ) from error
    yield


def remember_seen(run_dir: epath.Path, train: Split, *ancestors: str) -> None:
  """Writes which images and groups the run trains on, and those that its ancestors have seen.

  Args:
    run_dir: the run's directory.
    train: what it trains on.
    *ancestors: directories with a seen.json: its initialiser, its masks; '' is none.
  """
  groups, images = set(train.group_ids.tolist()), set(train.canonical_ids.tolist())
  for ancestor in filter(None, ancestors):
    inherited = _seen(ancestor)
    groups |= set(inherited['groups'])
    images |= set(inherited['images'])
  files.write_json(run_dir / 'seen.json', {'groups': sorted(groups), 'images': sorted(images)})


def refuse_leak(train: Split, held_out: Split, protocol: str) -> None:
  """Stops before training when a split shares images or lesions with the training split.

  Args:
    train: what would be trained on.
    held_out: what would be validated or tested on.
    protocol: `config.protocol`; 'published' lets lesions be shared, as some publications do, but
      never images.

  Raises:
    UserError: naming how many images, and one.
  """
  both = np.isin(held_out.canonical_ids, train.canonical_ids)
  if both.any():
    raise UserError(
      f'{both.sum()} of the {len(both)} images of the split {held_out.split!r}, such as '
      f'{held_out.image_ids[both][0]}, are in the training split {train.split!r} too: give '
      'config.data.train_split, validation_split and test_split without common images.'
    )
  both = np.isin(held_out.group_ids, train.group_ids)
  if both.any() and protocol != 'published':
    raise UserError(
      f'{both.sum()} of the {len(both)} images of {held_out.name} ({held_out.split}), such as '
      f'{held_out.image_ids[both][0]}, show lesions that are in its split {train.split!r} too, so '
      "results would be flattered: use a grouped data set, or config.protocol='published' to "
      'reproduce a publication that did this.'
    )


def refuse_seen(
  run: epath.PathLike, held_out: Split, purpose: str, images_only: bool = False
) -> None:
  """Stops when a run has trained on groups that must be new to it.

  Args:
    run: directory of the run.
    held_out: the split that must be new.
    purpose: for the message, e.g. 'config.init_from'.
    images_only: whether lesions may be shared; see `refuse_leak`.

  Raises:
    UserError: naming how many images, and one.
  """
  seen = _seen(run)
  both = np.isin(held_out.canonical_ids, seen['images'])
  if not images_only:
    both |= np.isin(held_out.group_ids, seen['groups'])
  if both.any():
    raise UserError(
      f'{purpose}: the run {run} was trained on {both.sum()} of the {len(both)} images or their '
      f'lesions of {held_out.name} ({held_out.split}), such as {held_out.image_ids[both][0]}, so '
      'a result on them would be flattered: use a run trained on the same grouped split.'
    )


def seen_images(run: epath.PathLike) -> list[str]:
  """Returns the ids of the images that a run and its ancestors have trained on.

  Raises:
    UserError: it is not known.
  """
  return _seen(run)['images']


def _seen(run: epath.PathLike) -> dict[str, list[str]]:
  missing = f'{run} has no seen.json, so what it was trained on is unknown'
  return read_json(run, 'seen.json', missing)


def read_json(run_dir: epath.PathLike, name: str, missing: str) -> Any:
  """Returns what a JSON file of a run holds.

  Args:
    run_dir: of the run.
    name: of the file.
    missing: the first half of the sentence that is said where it is not there.

  Raises:
    UserError: it is not there, or no JSON.
  """
  path = locate(run_dir) / name
  try:
    return json.loads(path.read_text())
  except (FileNotFoundError, NotADirectoryError) as error:
    raise UserError(f'{missing}; give the --workdir of a training run.') from error
  except (json.JSONDecodeError, UnicodeDecodeError) as error:
    raise UserError(f'{path} cannot be read ({error}): restore it, or train again.') from error
