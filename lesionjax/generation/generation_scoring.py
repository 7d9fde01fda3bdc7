"""From the best weights of a generator to the files that the report reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from data_builders.images import encode_png
from lesionjax.config import image_size
from lesionjax.data import memory
from lesionjax.data.records import Split
from lesionjax.evaluation.generation import (
  fid,
  fid_interval,
  kid,
  kid_interval,
  mean_recall,
  memorised,
  precision_recall,
)
from lesionjax.evaluation.intervals import DEGENERATE, percentiles, wilson
from lesionjax.generation import generating, judging, sampling
from lesionjax.generation.judging import Judge, Seen
from lesionjax.host import files
from lesionjax.runs import assembly, inference, run_data

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
  picture = generating.draw_grid(grid, class_names)
  files.write_bytes(run_dir / generating.SAMPLES / BEST_GRID, encode_png(picture))
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
    resamples = config.evaluate.resamples
    found[name] |= compare(real, generated, class_names, split.group_ids, resamples)
    found[name] |= _copies(known, real, generated, images, run_dir)
  return found


def _of_logits(config: ConfigDict, outputs: Mapping[str, np.ndarray]) -> dict[str, Entry]:
  means = generating.logit_metrics(config, dict(outputs))
  count = len(outputs['real_logit'])
  return {name: {'value': value, 'n': count} for name, value in means.items()}


def compare(
  real: Seen,
  generated: Seen,
  class_names: tuple[str, ...],
  groups: np.ndarray | None = None,
  resamples: int = 1000,
) -> dict[str, Entry]:
  """Measures generated images against as many real ones of the same labels.

  Args:
    real: of a held-out split.
    generated: labels as of the real ones.
    class_names: K names.
    groups: [N] lesions or patients of the real images; None: every image for itself.
    resamples: of the bootstrap.

  Returns:
    fid; kid, kid/CLASS; precision and coverage of the manifold, with intervals that take the other
    side's manifold as it is; judge_recall and real_recall, by class and their means, and
    judge_ratio, of the first to the second. Intervals are of 95 %, over images, of real ones over
    their groups; without low and high where too few images were drawn, or none differs.
  """
  count, sizes = len(real.labels), _count_groups(groups, len(real.labels))
  neighbours = min(3, count - 1)
  precision, coverage = precision_recall(real.features, generated.features, neighbours)
  pair = real.features, generated.features
  found = {
    'fid': _entry(fid(*pair), count, fid_interval(*pair, groups)),
    'kid': _entry(kid(*pair), count, kid_interval(*pair, groups)),
    'manifold_precision': _entry(precision, count, wilson(precision, count)),
    'manifold_recall': _entry(coverage, count, wilson(coverage, sizes)),
  }
  for label, name in enumerate(class_names):
    at = real.labels == label
    if not at.any():
      continue
    own = None if groups is None else groups[at]
    if at.sum() > 1:
      pair = real.features[at], generated.features[at]
      found[f'kid/{name}'] = _entry(kid(*pair), int(at.sum()), kid_interval(*pair, own))
    for key, seen, lesions in (('judge_recall', generated, None), ('real_recall', real, own)):
      share, size = float((seen.predicted[at] == label).mean()), int(at.sum())
      interval = wilson(share, _count_groups(lesions, size))
      found[f'{key}/{name}'] = _entry(share, size, interval)
  return {**found, **_recognised(real, generated, groups, resamples)}


def _recognised(
  real: Seen, generated: Seen, groups: np.ndarray | None, resamples: int
) -> dict[str, Entry]:
  """Mean recalls of the judge on either side, and their ratio."""
  count = len(real.labels)
  made = mean_recall(generated.labels, generated.predicted, None, resamples, seed=0)
  true = mean_recall(real.labels, real.predicted, groups, resamples, seed=1)
  with np.errstate(invalid='ignore', divide='ignore'):
    ratio = np.divide(made[0], true[0]), made[1] / true[1]
  named = (('judge_recall', made), ('real_recall', true), ('judge_ratio', ratio))
  return {key: _entry(float(value), count, percentiles(drawn)) for key, (value, drawn) in named}


def _entry(value: float, count: int, interval: tuple[float, float] | None) -> Entry:
  entry: Entry = {'value': value, 'n': count}
  if interval is not None and interval[1] - interval[0] >= DEGENERATE:
    entry |= {'low': interval[0], 'high': interval[1]}
  return entry


def _count_groups(groups: np.ndarray | None, count: int) -> int:
  return count if groups is None else len(np.unique(groups))


def _copies(
  known: _Known, real: Seen, generated: Seen, images: np.ndarray, run_dir: epath.Path
) -> dict[str, Entry]:
  """Share of generated, and of held-out real images nearer to training than training to itself."""
  copies = memorised(known.seen.features, generated.features, groups=known.groups)
  beside = memorised(known.seen.features, real.features, groups=known.groups)
  rows = np.argsort(copies.distance, kind='stable')[:_SHOWN]
  pairs = np.stack([images[rows], known.pixels[copies.nearest[rows]]])
  picture = generating.draw_grid(pairs, ('generated', 'nearest training'))
  files.write_bytes(run_dir / generating.SAMPLES / COPIES_GRID, encode_png(picture))
  found = {}
  for name, one in (('memorised', copies), ('real_memorised', beside)):
    low, high = wilson(one.share, len(one.flags))
    found[name] = {'value': one.share, 'low': low, 'high': high, 'n': len(one.flags)}
  return found
