"""From the best weights of a generator to the files that the report reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import cv2
import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from lesionjax import assembly, files, generating, inference, judging, run_data, sampling
from lesionjax.config import image_size
from lesionjax.data import memory
from lesionjax.data.records import Split
from lesionjax.evaluation.generation import fid, kid, memorised, precision_recall
from lesionjax.evaluation.intervals import wilson
from lesionjax.judging import Judge, Seen

BEST_GRID = 'best.png'
COPIES_GRID = 'nearest.png'
_SHOWN = 10  # generated images nearest to a training image
_FIRST = {'validation': 1_000_000, 'test': 2_000_000}  # images that no epoch has measured

Entry = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class _Known:
  """What real images look like to the judge: training images, their pixels and lesions."""

  seen: Seen
  pixels: np.ndarray
  groups: np.ndarray


def score(
  config: ConfigDict,
  run_dir: epath.Path,
  splits: Mapping[str, Split],
  outputs: Mapping[str, Mapping[str, np.ndarray]],
  class_names: tuple[str, ...],
) -> dict[str, dict[str, Entry]]:
  """Writes the grid of the best weights; measures them on every split.

  Args:
    config: of the run.
    run_dir: its directory.
    splits: held-out records by name.
    outputs: logits of every split, in the order of its records.
    class_names: K names.

  Returns:
    For every split: losses and logits of the discriminator and, with a judge, distances, precision
    and recall in its feature space, how often it sees the class that was meant, beside how often it
    does on real images, and the share of copies of training images.
  """
  model = assembly.make_model(config, len(class_names))
  local = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  weights = inference.restore_best(run_dir, model, image_size(config), local)
  sampler = sampling.Sampler(model, config.evaluate.batch_size)
  grid = generating.grid_samples(sampler, weights, config, len(class_names))
  _write(run_dir / generating.SAMPLES / BEST_GRID, generating.draw_grid(grid, class_names))
  found = {name: _of_logits(config, outputs[name]) for name in splits}
  if not config.gan.judge:
    return found
  judging.check(config, class_names, list(splits.values()))
  judge = Judge(config.gan.judge)
  train = run_data.open_training_data(config)
  pixels = memory.decode_all(train, image_size(config))
  known = _Known(judge.look(pixels, train.labels), pixels, train.group_ids)
  for name, split in splits.items():
    real = judge.look(memory.decode_all(split, image_size(config)), split.labels)
    images = sampler(weights, split.labels, config.seed, _FIRST.get(name, 3_000_000))
    generated = judge.look(images, split.labels)
    found[name] |= compare(real, generated, class_names)
    found[name] |= _copies(known, real, generated, images, run_dir)
  return found


def _of_logits(config: ConfigDict, outputs: Mapping[str, np.ndarray]) -> dict[str, Entry]:
  means = generating.logit_metrics(config, dict(outputs))
  count = len(outputs['real_logit'])
  return {name: {'value': value, 'n': count} for name, value in means.items()}


def compare(real: Seen, generated: Seen, class_names: tuple[str, ...]) -> dict[str, Entry]:
  """Measures generated images against as many real ones of the same labels.

  Args:
    real: of a held-out split.
    generated: labels as of the real ones.
    class_names: K names.

  Returns:
    fid; kid, kid/CLASS (with 95 % intervals over subsets where there are several); precision and
    coverage of the manifold; judge_recall and real_recall, their means over classes and
    judge_ratio, of the first to the second.
  """
  count = len(real.labels)
  neighbours = min(3, count - 1)
  precision, coverage = precision_recall(real.features, generated.features, neighbours)
  found = {
    'fid': {'value': fid(real.features, generated.features), 'n': count},
    'kid': _kid(real.features, generated.features),
    'manifold_precision': {'value': precision, 'n': count},
    'manifold_recall': {'value': coverage, 'n': count},
  }
  means: dict[str, list[float]] = {'judge_recall': [], 'real_recall': []}
  for label, name in enumerate(class_names):
    at = real.labels == label
    size = int(at.sum())
    if size > 1:
      found[f'kid/{name}'] = _kid(real.features[at], generated.features[at])
    for key, seen in (('judge_recall', generated), ('real_recall', real)):
      if size:
        share = float((seen.predicted[at] == label).mean())
        low, high = wilson(share, size)
        found[f'{key}/{name}'] = {'value': share, 'low': low, 'high': high, 'n': size}
        means[key].append(share)
  for key, shares in means.items():
    found[key] = {'value': float(np.mean(shares)), 'n': count}
  of_real = found['real_recall']['value']
  ratio = found['judge_recall']['value'] / of_real if of_real else float('nan')
  return {**found, 'judge_ratio': {'value': ratio, 'n': count}}


def _kid(real: np.ndarray, generated: np.ndarray) -> Entry:
  value, error = kid(real, generated)
  entry: Entry = {'value': value, 'n': len(real)}
  if np.isfinite(error):
    entry |= {'low': value - 1.96 * error, 'high': value + 1.96 * error}
  return entry


def _copies(
  known: _Known, real: Seen, generated: Seen, images: np.ndarray, run_dir: epath.Path
) -> dict[str, Entry]:
  """Share of generated, and of held-out real images nearer to training than training to itself."""
  copies = memorised(known.seen.features, generated.features, groups=known.groups)
  beside = memorised(known.seen.features, real.features, groups=known.groups)
  rows = np.argsort(copies.distance, kind='stable')[:_SHOWN]
  pairs = np.stack([images[rows], known.pixels[copies.nearest[rows]]])
  picture = generating.draw_grid(pairs, ('generated', 'nearest training'))
  _write(run_dir / generating.SAMPLES / COPIES_GRID, picture)
  found = {}
  for name, one in (('memorised', copies), ('real_memorised', beside)):
    low, high = wilson(one.share, len(one.flags))
    found[name] = {'value': one.share, 'low': low, 'high': high, 'n': len(one.flags)}
  return found


def _write(path: epath.Path, picture: np.ndarray) -> None:
  encoded = cv2.imencode('.png', np.ascontiguousarray(picture[..., ::-1]))[1]
  files.write_bytes(path, encoded.tobytes())
