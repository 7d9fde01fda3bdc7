"""The mode `masks`: the lesion masks of a whole data set, by a trained segmenter or by Otsu."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from data_builders import identity
from data_builders.cleaning.otsu import otsu_mask
from data_builders.errors import UserError
from lesionjax import assembly, files, inference, mask_scoring, run_directory
from lesionjax import config as config_lib
from lesionjax.data import masks as masks_lib
from lesionjax.data.crop import crop_box
from lesionjax.data.datasets import open_builder, open_split, preprocessing_of, provenance
from lesionjax.data.decode import Size
from lesionjax.data.records import Split
from lesionjax.evaluation.segmentation.postprocess import Postprocess
from lesionjax.training.mesh import Mesh, make_mesh

OTSU_PX = 256  # side at which Otsu's threshold is taken: hairs and noise are averaged away
# Steps after which a mask no longer lies on the image as the archive holds it.
_MOVING = ('crop', 'pad', 'vga', 'frame')


class SplitSegmenter:
  """A trained segmenter on whole splits, on all devices."""

  def __init__(self, run_dir: epath.PathLike, mesh: Mesh | None = None):
    """Reads configuration, best weights and post-processing of a run directory.

    Raises:
      UserError: it is no run, no segmenter, or has not been evaluated.
    """
    self.run_dir = run_directory.locate(run_dir)
    self.config = run_directory.read_config(run_dir)
    if self.config.task != 'segment':
      raise UserError(
        f'{run_dir} is a run of task {self.config.task!r}: give the --workdir of a segmenter'
        " (config.task='segment')."
      )
    self.mesh = mesh or make_mesh(self.config.num_devices)
    self.postprocess: Postprocess = mask_scoring.read_postprocess(self.run_dir)
    model = assembly.make_model(self.config, 1)
    size = config_lib.image_size(self.config)
    self._weights = inference.restore_best(run_dir, model, size, self.mesh.replicated)
    step = assembly.make_eval_step(self.config, model)
    self._predict = inference.compile_predict(step, self.mesh)

  def probabilities(self, split: Split) -> Iterator[np.ndarray]:
    """Yields float32 [H, W] of every image in turn, at the network's size."""
    batches = assembly.eval_batches(self.config, split, self.mesh)
    for outputs in inference.predictions(self._predict, self._weights, batches):
      if not outputs['finite'].all():
        raise UserError(f'{self.run_dir} gives NaN: train it again with a lower learning rate.')
      for probability in outputs['probability']:
        yield probability.astype(np.float32) / np.float32(255)


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
  folder = epath.Path(os.path.abspath(out)) if '://' not in out else epath.Path(out)
  start = time.perf_counter()
  about = {'method': f'segmenter {run_dir}' if run_dir else 'otsu', 'data': data}
  _check_folder(folder, about)
  steps = [step for step in preprocessing_of(data).steps if step.startswith(_MOVING)]
  if steps:
    raise UserError(
      f'{data} is prepared with {steps[0]!r}, after which a mask does not lie on the original'
      ' image: write masks of the configuration without it.'
    )
  segmenter = SplitSegmenter(run_dir) if run_dir else None
  data_dir = data_dir or (segmenter.config.data.data_dir if segmenter else '')
  rows: list[dict[str, Any]] = []
  for name in sorted(open_builder(data, data_dir or None).info.splits):
    split = open_split(data, name, data_dir or None, with_masks=True)
    rows += _write_split(folder, _without_masks(split), segmenter, fold_runs)
  rows.sort(key=lambda row: row['image_id'])
  about |= {
    'fingerprint': provenance(data, data_dir or None, with_masks=True)['fingerprint'],
    'images': len(rows),
    'rejected': sum(bool(row['reject']) for row in rows),
    'commit': run_directory.code_commit(),
    'folds': [[str(run), list(folds)] for run, folds in fold_runs],
    'postprocess': segmenter.postprocess.to_dict() if segmenter else None,
    # Everything included: read, predict or threshold, clean up, write, start and compile.
    'ms_per_image': round(1e3 * (time.perf_counter() - start) / max(len(rows), 1), 2),
  }
  _write_seen(folder, run_dir)
  files.write_text(folder / masks_lib.INDEX, _table(rows))
  files.write_json(folder / masks_lib.ABOUT, about)
  masks_lib.open_folder.cache_clear()
  print(f'{len(rows):,} masks in {folder}, {about["rejected"]:,} images without a usable lesion.')
  return str(folder / masks_lib.INDEX)


def _without_masks(split: Split) -> Split:
  return dataclasses.replace(split, with_masks=False)


def _check_folder(folder: epath.Path, about: dict[str, Any]) -> None:
  if not folder.exists():
    return
  names = [path.name for path in folder.iterdir()]
  if masks_lib.ABOUT in names:
    before = masks_lib.open_folder(str(folder)).about
    if any(before.get(key) != value for key, value in about.items()):
      raise UserError(
        f'--out={folder} holds masks of {before.get("data")} by {before.get("method")}: give'
        ' another folder.'
      )
  elif any(not name.endswith(('.png', '.tmp', '.json')) for name in names):
    raise UserError(f'--out={folder} holds other files: give a new folder.')


def _write_seen(folder: epath.Path, run_dir: str) -> None:
  """Whose validation and test lesions these masks may not serve: those that shaped them."""
  seen: dict[str, Any] = {'groups': [], 'images': []}
  if run_dir:
    seen = run_directory.read_json(run_dir, 'seen.json', f'{run_dir} has no seen.json')
  files.write_json(folder / 'seen.json', seen)


def _write_split(
  folder: epath.Path,
  split: Split,
  segmenter: SplitSegmenter | None,
  fold_runs: Sequence[tuple[str, Sequence[int]]],
) -> list[dict[str, Any]]:
  """Writes the masks of a split; returns their rows of the index."""
  done = np.zeros(len(split), bool)
  rows: list[dict[str, Any]] = []
  for run, folds in fold_runs:
    mine = np.isin(split.folds, folds)
    if split.split != 'train' or not mine.any():
      continue
    part, other = split.take(mine), SplitSegmenter(run, segmenter.mesh if segmenter else None)
    run_directory.refuse_seen(run, part, f'--mode=masks with {run}')
    rows += _write_rows(folder, part, _by_network(other, part))
    done |= mine
  rest = split.take(~done)
  if len(rest):
    found = _by_network(segmenter, rest) if segmenter else _by_otsu(rest)
    rows += _write_rows(folder, rest, found)
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
  folder: epath.Path, split: Split, found: Iterator[tuple[np.ndarray, float]]
) -> list[dict[str, Any]]:
  rows = []
  for image_id, group_id, (mask, confidence) in zip(
    split.image_ids.tolist(), split.group_ids.tolist(), found, strict=True
  ):
    box = crop_box(mask)
    reject = '' if box is not None else ('empty' if not mask.any() else 'too small')
    name = '' if reject else f'{identity.canonical_id(image_id)}.png'
    if name:
      png = cv2.imencode('.png', mask.astype(np.uint8) * np.uint8(255))[1].tobytes()
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


def fold_config(config: ConfigDict, folds: Sequence[int]) -> ConfigDict:
  """Returns the configuration of a segmenter that leaves folds of the training split out."""
  changed = config.copy_and_resolve_references()
  changed.data.leave_out_folds = tuple(folds)
  return changed


def parts_of(folds: Sequence[int], count: int) -> list[tuple[int, ...]]:
  """Divides the folds of a training split into parts, round robin.

  Raises:
    UserError: there are fewer folds than parts.
  """
  known = sorted(set(folds))
  if not 2 <= count <= len(known):
    raise UserError(
      f'--cross_fit={count} must be from 2 to {len(known)}, the number of folds of the training'
      ' split.'
    )
  return [tuple(known[at::count]) for at in range(count)]
