"""The mode `masks`: the lesion masks of a whole data set, by a trained segmenter or by Otsu."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from etils import epath

from data_builders import identity
from data_builders.cleaning.otsu import otsu_mask
from data_builders.errors import UserError
from lesionjax.data import masks as masks_lib
from lesionjax.data.crop import crop_box
from lesionjax.data.datasets import open_builder, open_split, preprocessing_of, provenance
from lesionjax.data.decode import Size
from lesionjax.data.records import Split
from lesionjax.host import environment, files
from lesionjax.masking.segmenting import MOVING, SplitSegmenter
from lesionjax.runs import run_directory

OTSU_PX = 256  # side at which Otsu's threshold is taken: hairs and noise are averaged away
_STARTED = 'masks.started.json'  # while a folder is being written; masks.json then replaces it


def write(
  out: str,
  data: str,
  data_dir: str = '',
  run_dir: str = '',
  fold_runs: Sequence[tuple[str, Sequence[int]]] = (),
) -> str:
  """Writes a mask of every image of a data set, all splits, and an index of them.

  Args:
    out: the folder; a new or empty one, or one that this wrote before.
    data: prepared data set, NAME or NAME/CONFIG.
    data_dir: where it lies; '' is TFDS's default, or where the run found its own.
    run_dir: of a segmenter; '' takes Otsu's threshold.
    fold_runs: (run, folds) pairs: training images of these folds get their mask from that run,
      which must not have trained on them.

  Returns:
    The path of the index.

  Raises:
    UserError: on a mistake in run, data or folder.
  """
  start = time.perf_counter()
  folder = run_directory.locate(out)
  parts = [[str(run), list(folds)] for run, folds in fold_runs]
  segmenter = check(out, data, data_dir, run_dir, bool(parts))
  about = {**_origin(data, run_dir), 'folds': parts}
  # What a folder says of itself must never be older than its masks.
  (folder / masks_lib.ABOUT).unlink(missing_ok=True)
  files.write_json(folder / _STARTED, about)
  data_dir = data_dir or (segmenter.config.data.data_dir if segmenter else '')
  preprocess = segmenter.config.data.preprocess if segmenter else ''
  rows: list[dict[str, Any]] = []
  content = hashlib.sha256()
  for name in sorted(open_builder(data, data_dir or None).info.splits):
    split = open_split(data, name, data_dir or None, preprocess=preprocess, with_masks=True)
    rows += _write_split(folder, _without_masks(split), segmenter, fold_runs, content)
  rows.sort(key=lambda row: row['image_id'])
  about |= {
    'fingerprint': provenance(data, data_dir or None, with_masks=True)['fingerprint'],
    'images': len(rows),
    'rejected': sum(bool(row['reject']) for row in rows),
    'sha256': content.hexdigest(),
    'commit': environment.code_commit(),
    'postprocess': segmenter.postprocess.to_dict() if segmenter else None,
    # Everything included: read, predict or threshold, clean up, write, start and compile.
    'ms_per_image': round(1e3 * (time.perf_counter() - start) / max(len(rows), 1), 2),
  }
  _write_seen(folder, [run_dir, *(run for run, _ in fold_runs)] if run_dir else [])
  files.write_text(folder / masks_lib.INDEX, _table(rows))
  files.write_json(folder / masks_lib.ABOUT, about)
  (folder / _STARTED).unlink()
  masks_lib.open_folder.cache_clear()
  print(f'{len(rows):,} masks in {folder}, {about["rejected"]:,} images without a usable lesion.')
  return str(folder / masks_lib.INDEX)


def _without_masks(split: Split) -> Split:
  return dataclasses.replace(split, with_masks=False)


def check(
  out: str, data: str, data_dir: str = '', run_dir: str = '', cross_fit: bool = False
) -> SplitSegmenter | None:
  """Refuses what `write` would, before anything is trained or written.

  Args:
    out: as in `write`.
    data: as in `write`.
    data_dir: as in `write`.
    run_dir: as in `write`.
    cross_fit: whether parts of the data get their masks from other runs.

  Returns:
    The segmenter; None with Otsu's threshold.

  Raises:
    UserError: on a mistake in run, data or folder.
  """
  segmenter = SplitSegmenter(run_dir) if run_dir else None
  moving = [step for step in preprocessing_of(data).steps if step.startswith(MOVING)]
  if moving:
    raise UserError(
      f'{data} is prepared with {moving[0]!r}, after which a mask does not lie on the original'
      ' image: write masks of the configuration without it.'
    )
  if segmenter:
    segmenter.check_preprocessing(data)
    data_dir = data_dir or segmenter.config.data.data_dir
  _check_folder(run_directory.locate(out), _origin(data, run_dir), cross_fit)
  open_builder(data, data_dir or None)
  return segmenter


def _origin(data: str, run_dir: str) -> dict[str, Any]:
  return {'method': f'segmenter {run_dir}' if run_dir else 'otsu', 'data': data}


def _check_folder(folder: epath.Path, origin: dict[str, Any], cross_fit: bool) -> None:
  """Refuses a folder that is not empty, unless it holds, whole or in part, these very masks."""
  if not folder.exists():
    return
  if not folder.is_dir():
    raise UserError(f'--out={folder} is a file: give a folder.')
  names = [path.name for path in folder.iterdir()]
  known = [name for name in (masks_lib.ABOUT, _STARTED) if name in names]
  if not known:
    if any(not name.endswith('.tmp') for name in names):
      raise UserError(f'--out={folder} holds other files, such as {names[0]}: give a new folder.')
    return
  before = run_directory.read_json(folder, known[0], f'{folder} lost its {known[0]}')
  if not isinstance(before, dict) or any(before.get(k) != value for k, value in origin.items()):
    told = before if isinstance(before, dict) else {}
    raise UserError(
      f'--out={folder} holds masks of {told.get("data")} by {told.get("method")}: give another'
      ' folder.'
    )
  if bool(before.get('folds')) != cross_fit:
    one, other = (
      ('out-of-fold masks', 'others') if before.get('folds') else ('masks', 'out-of-fold')
    )
    raise UserError(
      f'--out={folder} holds {one} of {origin["data"]}, which {other} would replace: give another'
      ' folder.'
    )


def _write_seen(folder: epath.Path, runs: Sequence[str]) -> None:
  """Whose validation and test lesions these masks may not serve: those that shaped them."""
  groups: set[str] = set()
  images: set[str] = set()
  for run in runs:
    seen = run_directory.read_json(run, 'seen.json', f'{run} has no seen.json')
    groups |= set(seen['groups'])
    images |= set(seen['images'])
  files.write_json(folder / 'seen.json', {'groups': sorted(groups), 'images': sorted(images)})


def _write_split(
  folder: epath.Path,
  split: Split,
  segmenter: SplitSegmenter | None,
  fold_runs: Sequence[tuple[str, Sequence[int]]],
  content: hashlib._Hash,
) -> list[dict[str, Any]]:
  """Writes the masks of a split and adds them to a hash; returns their rows of the index."""
  done = np.zeros(len(split), bool)
  rows: list[dict[str, Any]] = []
  for run, folds in fold_runs:
    mine = np.isin(split.folds, folds)
    if split.split != 'train' or not mine.any():
      continue
    part, other = split.take(mine), SplitSegmenter(run, segmenter.mesh if segmenter else None)
    run_directory.refuse_seen(run, part, f'--mode=masks with {run}')
    rows += _write_rows(folder, part, _by_network(other, part), content)
    done |= mine
  rest = split.take(~done)
  if len(rest):
    found = _by_network(segmenter, rest) if segmenter else _by_otsu(rest)
    rows += _write_rows(folder, rest, found, content)
  return rows


def _by_network(segmenter: SplitSegmenter, split: Split) -> Iterator[tuple[np.ndarray, float]]:
  """Yields (mask bool [H, W], confidence): the mean probability within the mask."""
  for probability in segmenter.probabilities(split):
    mask = segmenter.postprocess(probability)
    yield mask, float(probability[mask].mean()) if mask.any() else 0.0


def _by_otsu(split: Split, size: Size = OTSU_PX) -> Iterator[tuple[np.ndarray, float]]:
  """Yields (mask bool [H, W], nan): a threshold is never unsure."""
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    for mask in pool.map(lambda row: otsu_mask(split.decode(row, size)), range(len(split))):
      yield mask, float('nan')


def _write_rows(
  folder: epath.Path,
  split: Split,
  found: Iterator[tuple[np.ndarray, float]],
  content: hashlib._Hash,
) -> list[dict[str, Any]]:
  rows = []
  for image_id, group_id, (mask, confidence) in zip(
    split.image_ids.tolist(), split.group_ids.tolist(), found, strict=True
  ):
    box = crop_box(mask)
    reject = '' if box is not None else ('empty' if not mask.any() else 'too small')
    name = '' if reject else f'{identity.canonical_id(image_id)}.png'
    content.update(f'{image_id}:{name}:'.encode())
    if name:
      png = cv2.imencode('.png', mask.astype(np.uint8) * np.uint8(255))[1].tobytes()
      content.update(png)
      files.write_bytes(folder / name, png)
    rows.append(
      {
        'image_id': image_id,
        'group_id': group_id,
        'file': name,
        'area_share': f'{mask.mean():.5f}',
        'confidence': '' if np.isnan(confidence) else f'{confidence:.4f}',
        'reject': reject,
      }
    )
  return rows


def _table(rows: list[dict[str, Any]]) -> str:
  text = io.StringIO()
  columns: tuple[str, ...] = masks_lib.COLUMNS
  writer = csv.DictWriter(text, columns, lineterminator='\n')
  writer.writeheader()
  writer.writerows(rows)
  return text.getvalue()
