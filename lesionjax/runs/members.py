"""Runs that vote together: opened on the same images, in the same order."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.data.records import Split
from lesionjax.runs import opened, run_data, run_directory, tta, two_stage


@dataclasses.dataclass(frozen=True)
class Member:
  """A run that takes part.

  Attributes:
    name: end of its path, long enough to tell it from the others.
    run_dir: its directory.
    config: its configuration.
    class_names: K names.
    data: what is known of its data.
    splits: validation and test, in the order of the first member's images.
  """

  name: str
  run_dir: epath.Path
  config: ConfigDict
  class_names: tuple[str, ...]
  data: dict[str, Any]
  splits: dict[str, Split]


def open_members(places: Sequence[epath.Path], views: str, data_dir: str = '') -> list[Member]:
  """Opens all runs; nothing is predicted yet.

  Args:
    places: directories of finished runs.
    views: see `lesionjax.runs.tta`.
    data_dir: where prepared data lie now; '' is where the runs found their own.

  Raises:
    UserError: they differ in classes, data or splits, are no classifiers, or have trained on what
      they would be measured on.
  """
  members: list[Member] = []
  for place, name in zip(places, _names(places), strict=True):
    config = two_stage.resolve(run_directory.read_config(place), place)
    if config.task != 'classify':
      raise UserError(f'{place} is a run of task {config.task!r}: classifiers are averaged.')
    if data_dir:
      config.data.data_dir = data_dir
    tta.check_size(views, *config_lib.image_size(config))
    class_names = run_directory.class_names(place)
    data = opened.describe(config, place)
    if members:
      _check_alike(members[0], name, config, class_names, data)
    splits = {}
    for split_name in (config.data.validation_split, config.data.test_split):
      split = opened.scored(run_data.open_data(config, split_name))
      opened.check_unseen(config, place, split, class_names, config.protocol == 'published')
      like = members[0].splits[split_name] if members else None
      splits[split_name] = split if like is None else _in_order(split, like, name)
    members.append(Member(name, place, config, class_names, data, splits))
  return members


def _check_alike(
  first: Member, name: str, config: ConfigDict, class_names: tuple[str, ...], data: dict[str, Any]
) -> None:
  """Refuses a run whose probabilities are about something else."""
  told = f'{first.name} and {name}'
  if class_names != first.class_names:
    raise UserError(
      f'{told} know other classes ({", ".join(first.class_names)}; {", ".join(class_names)}):'
      ' average runs with the same config.data.classes.'
    )
  if data['fingerprint'] != first.data['fingerprint']:
    ours, theirs = (
      f'{one["name"]}/{one["config"]} {one["version"]} ({one["fingerprint"][:12]})'
      for one in (first.data, data)
    )
    raise UserError(
      f'{told} were made from other images, labels or splits ({ours}; {theirs}): average runs of'
      ' the same data set and split.'
    )
  for key in ('validation_split', 'test_split'):
    if config.data[key] != first.config.data[key]:
      raise UserError(
        f'{told} have other splits (config.data.{key}={first.config.data[key]!r};'
        f' {config.data[key]!r}): average runs that are validated and tested on the same images.'
      )


def _in_order(split: Split, like: Split, name: str) -> Split:
  """The same images as those of `like`, in their order."""
  if np.array_equal(split.image_ids, like.image_ids):
    return split
  place = {image: row for row, image in enumerate(split.image_ids.tolist())}
  if set(place) != set(like.image_ids.tolist()):
    raise UserError(
      f'{name} is measured on other images of {split.name} ({split.split}) than the first run:'
      ' average runs with the same config.data.name and leave_out_classes.'
    )
  return split.take(np.array([place[image] for image in like.image_ids.tolist()]))


def _names(places: Sequence[epath.Path]) -> list[str]:
  """The shortest ends of the paths that tell them apart."""
  parts = [os.fspath(place).rstrip('/').split('/') for place in places]
  for length in range(1, max(map(len, parts)) + 1):
    names = ['/'.join(part[-length:]) for part in parts]
    if len(set(names)) == len(names):
      return names
  return [os.fspath(place) for place in places]
