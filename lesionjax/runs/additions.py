"""What a run's strategy adds to its training images, kept for the pages.

`resampled.npz`: of a run whose last phase resamples, a map of features before and after, or images
beside the two real ones each lies between. `synthetic_examples.npz`: generated beside real images.

The map costs a pass over the training images and some ten seconds for t-SNE; the images between
real ones cost resampling once more, class by class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from lesionjax.config import image_size
from lesionjax.data import memory, synthetic
from lesionjax.data.between import between_pixels
from lesionjax.data.records import Split
from lesionjax.data.resample import resample_features
from lesionjax.evaluation import projection
from lesionjax.report.images import shrink
from lesionjax.runs import assembly, inference, run_data, scoring
from lesionjax.runs.phases import phases_of
from lesionjax.training.checkpoints import Checkpoints
from lesionjax.training.mesh import Mesh

FILES = RESAMPLED, SYNTHETIC = 'resampled.npz', 'synthetic_examples.npz'
_SHOWN = 6  # images of a class and kind
_PICTURE_PX = 96

Arrays = dict[str, Any]


def collect(config: ConfigDict, run_dir: epath.Path, mesh: Mesh) -> dict[str, Arrays]:
  """Makes what `write` keeps; every process takes part.

  Args:
    config: of a classifier's run.
    run_dir: its directory, for the weights that are evaluated or, where their epoch is one of an
      earlier phase (see `select.phase`), of the last epoch: those of the phase that resampled.
    mesh: where they go.

  Returns:
    Arrays by file name; {} where nothing is added, or where the generated images that it trained on
    are not there any more.
  """
  *before, phase = phases_of(config)
  last, begun, best = phase.config, -1, -1
  if last.data.resample != 'none':
    begun, best = _phases_of_checkpoints(run_dir)
  resamples = begun == len(before)
  if not resamples and not config.data.synthetic:
    return {}
  if config.data.synthetic and not synthetic.is_there(config.data.synthetic):
    return {}  # only training needs them: the files of the first evaluation stay
  train = run_data.open_training_data(config)
  found = {SYNTHETIC: _examples(config, train)} if config.data.synthetic else {}
  if resamples:
    in_pixels = last.data.resample_space == 'pixels'
    newest = best < begun
    arrays = _between(last, train) if in_pixels else _map(last, train, run_dir, mesh, newest)
    names = ('resample', 'resample_space', 'resample_neighbours')
    how = dict(zip(('method', 'space', 'neighbours'), (last.data[n] for n in names), strict=True))
    found[RESAMPLED] = {**how, 'class_names': np.array(train.class_names), **arrays}
  return found


def write(run_dir: epath.Path, found: dict[str, Arrays]) -> None:
  """Writes the files; the same arrays give the same bytes."""
  for name, arrays in found.items():
    scoring.write_npz(run_dir / name, **arrays)


def _phases_of_checkpoints(run_dir: epath.Path) -> tuple[int, int]:
  """Numbers of the phases that the newest and the best checkpoint belong to; -1 without one."""
  with Checkpoints(run_dir) as checkpoints:
    steps = checkpoints.last_step, checkpoints.best_step
    newest, best = (-1 if step is None else checkpoints.progress(step).phase for step in steps)
  return newest, best


def _map(config: ConfigDict, train: Split, run_dir: epath.Path, mesh: Mesh, newest: bool) -> Arrays:
  """Coordinates of real and added feature vectors on one map."""
  features = _features(config, train, run_dir, mesh, newest)
  data, names, count = config.data, train.class_names, len(train)
  rows, labels = resample_features(
    features, train.labels, names, data.resample, data.resample_neighbours, config.seed
  )
  added = np.arange(len(rows)) >= count
  chosen = projection.choose_rows(labels, added, projection.MOST)
  return {
    'coordinates': projection.project(rows[chosen], config.seed),
    'label': labels[chosen],
    'added': added[chosen],
    'real_count': np.bincount(train.labels, minlength=len(names)),
    'added_count': np.bincount(labels[added], minlength=len(names)),
  }


def _features(
  config: ConfigDict, train: Split, run_dir: epath.Path, mesh: Mesh, newest: bool
) -> np.ndarray:
  """Pre-logits of the training images, as the last phase read them: its backbone was frozen."""
  model = assembly.make_model(config, len(train.class_names))
  weights = inference.restore_best(run_dir, model, image_size(config), mesh.replicated, newest)
  predict = inference.compile_predict(assembly.make_eval_step(config, model), mesh)
  batches = run_data.eval_batches(config, train, mesh)
  return inference.predict_batches(predict, weights, batches)['pre_logits']


def _between(config: ConfigDict, train: Split) -> Arrays:
  """Images that were added, and the two that each was mixed from."""
  data, names = config.data, train.class_names
  pixels = memory.decode_all(train, image_size(config), data.num_threads or None)
  found, added = between_pixels(
    pixels, train.labels, names, data.resample, data.resample_neighbours, config.seed, _SHOWN
  )
  first, second = (_shrunk(pixels[found.parents[:, at]]) for at in (0, 1))
  return {
    'image': _shrunk(found.images),
    'first': first,
    'second': second,
    'share': found.shares,
    'label': found.labels,
    'parent_id': train.image_ids[found.parents],
    'real_count': np.bincount(train.labels, minlength=len(names)),
    'added_count': added,
  }


def _examples(config: ConfigDict, train: Split) -> Arrays:
  """Generated and real images of every class, evenly spread over those that trained."""
  made = synthetic.is_generated(train)
  rows = [
    projection.spread(np.flatnonzero((train.labels == label) & (made == kind)), _SHOWN)
    for label in range(len(train.class_names))
    for kind in (True, False)
  ]
  chosen = np.concatenate(rows)
  size = image_size(config)
  pixels = np.stack([train.decode(row, size) for row in chosen.tolist()])
  count = len(train.class_names)
  return {
    'image': _shrunk(pixels[..., :3]),
    'label': train.labels[chosen],
    'generated': made[chosen],
    'image_id': train.image_ids[chosen],
    'class_names': np.array(train.class_names),
    'real_count': np.bincount(train.labels[~made], minlength=count),
    'added_count': np.bincount(train.labels[made], minlength=count),
  }


def _shrunk(images: np.ndarray) -> np.ndarray:
  """As large as a page shows them."""
  return np.stack([shrink(image, _PICTURE_PX) for image in images]) if len(images) else images
