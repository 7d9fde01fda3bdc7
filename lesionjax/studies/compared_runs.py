"""Finished runs as a comparison needs them: what each said of every test image, seeds together."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax.report import mask_files
from lesionjax.report.run_files import Run, read_run

_SEED = re.compile(r'(?P<name>.+)_seed(?P<seed>\d+)')


@dataclasses.dataclass(frozen=True)
class Scored:
  """A finished run and what it said of every test image, in the order of the images' ids.

  Attributes:
    run: its files.
    split: name of the test split.
    ids: <U [N], sorted.
    groups: <U [N].
    labels: int [N].
    class_names: of the labels.
    probabilities: float [N, K] of a classifier; None of a segmenter.
    masks: of a segmenter, float [N] by metric; empty of a classifier.
  """

  run: Run
  split: str
  ids: np.ndarray
  groups: np.ndarray
  labels: np.ndarray
  class_names: tuple[str, ...]
  probabilities: np.ndarray | None
  masks: dict[str, np.ndarray]

  @property
  def name(self) -> str:
    return self.run.directory.name

  @property
  def segments(self) -> bool:
    return self.probabilities is None


@dataclasses.dataclass(frozen=True)
class Arm:
  """One way of training, run once or with several seeds.

  Attributes:
    name: of the run, or what the names of its runs have before '_seedN'.
    runs: in the order of their seeds.
    seeds: their N; empty of a run without.
  """

  name: str
  runs: tuple[Scored, ...]
  seeds: tuple[int, ...] = ()

  @property
  def first(self) -> Scored:
    return self.runs[0]


def gather(scored: Sequence[Scored]) -> tuple[list[Arm], list[str]]:
  """Puts the runs of classifiers that are named NAME_seedN together.

  Args:
    scored: finished runs, in the order of the comparison.

  Returns:
    The arms, each with the same seeds, and the names of runs whose seed another arm lacks. Where
    any run is named otherwise, every run is an arm of its own.
  """
  found = [_SEED.fullmatch(each.name) for each in scored]
  if not all(found) or any(each.segments for each in scored):
    return [Arm(each.name, (each,)) for each in scored], []
  by_name: dict[str, dict[int, Scored]] = {}
  for match, each in zip(found, scored, strict=True):
    assert match is not None
    by_name.setdefault(match['name'], {})[int(match['seed'])] = each
  if len(by_name) == 1:  # the seeds themselves are to be compared
    return [Arm(each.name, (each,)) for each in scored], []
  common = sorted(set.intersection(*(set(runs) for runs in by_name.values())))
  if not common:
    told = '; '.join(f'{name}: {", ".join(map(str, runs))}' for name, runs in by_name.items())
    raise UserError(
      f'No seed is common to all that are compared ({told}): train each with the same seeds.'
    )
  arms = [
    Arm(name, tuple(runs[seed] for seed in common), tuple(common)) for name, runs in by_name.items()
  ]
  kept = {each.name for arm in arms for each in arm.runs}
  return arms, [each.name for each in scored if each.name not in kept]


def read(place: epath.Path) -> Scored:
  """Reads a finished run.

  Raises:
    UserError: it has no predictions of its test split.
  """
  run = read_run(place)
  split = str(run.option('data.test_split', 'test'))
  found: Any = run.predictions.get(split)
  if run.option('task') == 'segment':
    found = mask_files.read_predictions(run, split)
  if found is None or split not in run.metrics:
    raise UserError(
      f'{place} has no predictions of its test split {split!r}: evaluate the run again.'
    )
  order = np.argsort(found.image_ids)
  probabilities = getattr(found, 'probabilities', None)
  masks = getattr(found, 'network', {})
  return Scored(
    run,
    split,
    found.image_ids[order],
    found.group_ids[order],
    found.labels[order],
    found.class_names,
    None if probabilities is None else probabilities[order],
    {name: values[order] for name, values in masks.items()},
  )


def check_same(one: Scored, other: Scored) -> None:
  """Refuses runs whose numbers are not about the same images.

  Raises:
    UserError: they differ in task, classes, images, labels or groups.
  """
  pair = f'{one.name} and {other.name}'
  if one.segments != other.segments:
    raise UserError(
      f'{pair}: one finds lesions and the other names classes: compare runs of a task.'
    )
  if one.class_names != other.class_names:
    raise UserError(
      f'{pair} know other classes ({", ".join(one.class_names)}; {", ".join(other.class_names)}):'
      ' compare runs with the same config.data.classes.'
    )
  if not np.array_equal(one.ids, other.ids):
    both = len(np.intersect1d(one.ids, other.ids))
    raise UserError(
      f'{pair} were scored on other images: {len(one.ids):,} and {len(other.ids):,}, of which'
      f' {both:,} are the same; compare runs with the same data set and test split.'
    )
  for what, ours, theirs in (
    ('label', one.labels, other.labels),
    ('lesion or patient', one.groups, other.groups),
  ):
    odd = np.flatnonzero(ours != theirs)
    if len(odd):
      raise UserError(
        f'{pair} were told another {what} for {len(odd):,} of {len(one.ids):,} test images, such as'
        f' {one.ids[odd[0]]}: compare runs of the same version of a data set.'
      )
