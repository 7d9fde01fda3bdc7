"""Which images are looked at closely: files of one's own, or records of the run's splits."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax.explain.explained import ExplainedRun
from lesionjax.predicting.finding import find_images
from lesionjax.report.run_files import Predictions, read_run
from lesionjax.runs import run_data, two_stage

KINDS = ('errors', 'hits')


@dataclasses.dataclass(frozen=True)
class Chosen:
  """Images that are looked at.

  Attributes:
    names: str, N of them: file names or image ids.
    pixels: uint8 [N, H, W, 3], as the network sees them.
    labels: int [N], the true classes; None of files.
    told: how they were chosen, a sentence with counts.
  """

  names: list[str]
  pixels: np.ndarray
  labels: np.ndarray | None
  told: str


def from_files(run: ExplainedRun, images: str, out: str, count: int) -> Chosen:
  """Reads images as the network sees them.

  Args:
    run: the network.
    images: a folder, a pattern or one file.
    out: folder of the results, in which no image is looked for.
    count: at most so many are taken, the first by name; what cannot be read is told and left
      out.

  Raises:
    UserError: there is none, none can be read, or the run needs masks.
  """
  if run.classifier.needs_masks:
    raise UserError(
      f'{run.classifier.run_dir} looks at lesions and has no segmenter of its own to find them in'
      ' files: give --errors=N, records of its data, which have masks.'
    )
  if run.classifier.config.data.background != 'none':
    raise UserError(
      f'{run.classifier.run_dir} sees skin recoloured around a lesion, which files do not say where'
      ' it is: give --errors=N, records of its data.'
    )
  found = find_images(images, out)
  names = found.names[:count]
  paths = [os.path.join(found.folder, name) for name in names]
  seen, problems = {}, []
  for index, (name, path) in enumerate(zip(names, paths, strict=True)):
    try:
      seen[name] = run.classifier.seen(path, index)
    except UserError as error:
      problems.append(str(error))
  if not seen:
    raise UserError(problems[0])
  for problem in problems:
    print(f'Left out: {problem}')
  more = len(found.names) - len(names)
  told = f'{len(seen)} images' + (
    f', of the first {count} of {len(found.names):,}.' if more else '.'
  )
  return Chosen(list(seen), np.stack(list(seen.values())), None, told)


def from_split(run: ExplainedRun, split: str, kind: str, count: int) -> Chosen:
  """Takes the most confident errors or hits of a split.

  Args:
    run: the network.
    split: that was evaluated, 'test' say.
    kind: one of `KINDS`.
    count: how many at most.

  Raises:
    UserError: the split was not evaluated, or has none of them.
  """
  directory = run.classifier.run_dir
  predictions = read_run(directory).predictions.get(split)
  if predictions is None:
    raise UserError(
      f'{directory} has no predictions of the split {split!r}: evaluate it with --mode=evaluate.'
    )
  rows, told = choose(predictions, kind, count)
  if not len(rows):
    raise UserError(f'There are no {kind} among the {len(predictions.labels):,} of {split}.')
  told = f'{told} ({split}).'
  return _decoded(run, split, predictions.image_ids[rows], predictions.labels[rows], told)


def choose(predictions: Predictions, kind: str, count: int) -> tuple[np.ndarray, str]:
  """Rows of the errors (or hits) with the highest probability of the predicted class, and how many.

  Returns:
    int [n <= count], the most confident first; and a clause with the counts.
  """
  known = predictions.labels >= 0
  guess = predictions.probabilities.argmax(1)
  right = guess == predictions.labels
  rows = np.flatnonzero(known & (right if kind == 'hits' else ~right))
  confidence = predictions.probabilities.max(1)[rows]
  taken = rows[np.argsort(-confidence, kind='stable')][:count]
  sure = int((confidence >= 0.9).sum())
  return taken, (
    f'{len(rows):,} {kind} among {int(known.sum()):,} images, {sure:,} of them with a probability'
    f' of .9 or more; the {len(taken)} most confident are shown'
  )


def same_images(run: ExplainedRun, split: str, chosen: Chosen) -> Chosen:
  """The same images as another run sees them, found by their ids in its own data."""
  return _decoded(run, split, np.array(chosen.names), chosen.labels, chosen.told)


def _decoded(
  run: ExplainedRun, split: str, image_ids: Sequence[str] | np.ndarray, labels, told: str
) -> Chosen:
  config = two_stage.resolve(run.classifier.config, epath.Path(run.classifier.run_dir))
  records = run_data.open_data(config, split)
  place = {name: row for row, name in enumerate(records.image_ids.tolist())}
  missing = [str(name) for name in image_ids if str(name) not in place]
  if missing:
    raise UserError(
      f'The split {split!r} of {config.data.name} has no image {missing[0]!r} ({len(missing)} of'
      f' {len(image_ids)} are missing): both runs must hold the same images out.'
    )
  names = [str(name) for name in image_ids]
  pixels = np.stack([records.decode(place[name], run.size)[..., :3] for name in names])
  return Chosen(names, pixels, labels, told)
