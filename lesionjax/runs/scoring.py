"""From the outputs of a network on a split to the files that the report reads."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from data_builders.labels import map_labels
from lesionjax.data.records import Split
from lesionjax.data.scan import map_images
from lesionjax.evaluation.baseline import colour_baseline, colour_statistics
from lesionjax.evaluation.intervals import Interval, evaluate, wilson
from lesionjax.evaluation.metrics import per_group, point_metrics
from lesionjax.evaluation.selection import select_examples
from lesionjax.host import files
from lesionjax.runs.inference import softmax

_EXAMPLE_PX = 160
_BASELINE_PX = 64


def labels_of(split: Split, class_names: tuple[str, ...]) -> np.ndarray:
  """Returns a split's labels as indices into `class_names`.

  Raises:
    UserError: when one of its classes has no counterpart.
  """
  if split.class_names == class_names:
    return split.labels
  return map_labels(split.class_names, class_names)[split.labels]


def validation_metrics(
  split: Split, logits: np.ndarray, class_names: tuple[str, ...]
) -> dict[str, float]:
  """Returns the metrics of an epoch: `loss` (log loss) and everything of `point_metrics`."""
  metrics = point_metrics(labels_of(split, class_names), softmax(logits), class_names)
  return {'loss': metrics['log_loss'], **metrics}


def score_split(
  config: ConfigDict,
  out_dir: epath.Path,
  split: Split,
  name: str,
  outputs: dict[str, np.ndarray],
  class_names: tuple[str, ...],
) -> dict[str, Any]:
  """Writes `predictions_<name>.npz` and `examples_<name>.npz`; measures with intervals.

  Args:
    config: of the run.
    out_dir: where the files go.
    split: the records, in the order of the outputs.
    name: 'validation' or 'test'.
    outputs: logits [N, K] and pre_logits [N, D].
    class_names: K names.

  Returns:
    {name: metrics per image, name_per_lesion: metrics of a lesion's mean probabilities}.
  """
  labels = labels_of(split, class_names)
  probabilities = softmax(outputs['logits'])
  write_npz(
    out_dir / f'predictions_{name}.npz',
    image_id=split.image_ids,
    group_id=split.group_ids,
    label=labels,
    class_names=np.array(class_names),
    probabilities=probabilities,
    **outputs,
  )
  chosen = select_examples(labels, probabilities, config.evaluate.examples, groups=split.group_ids)
  shown = [split.decode(i, _EXAMPLE_PX) for i in chosen]
  shape = (len(shown), _EXAMPLE_PX, _EXAMPLE_PX, 3)
  write_npz(
    out_dir / f'examples_{name}.npz',
    index=np.asarray(chosen, np.int64),
    image=np.asarray(shown, np.uint8).reshape(shape),
  )
  resamples = config.evaluate.resamples
  lesions = per_group(labels, probabilities, split.group_ids)
  per_image: dict[str, Any] = dict(
    evaluate(labels, probabilities, split.group_ids, class_names, resamples)
  )
  if split.lesion.looks:
    shares = lesion_shares(split)
    if not split.lesion.crops:
      shares.pop('lesion_at_border', None)
    per_image |= shares
  return {
    name: per_image,
    f'{name}_per_lesion': evaluate(*lesions, class_names, resamples),
  }


def lesion_shares(split: Split) -> dict[str, Interval]:
  """Counts what the masks of a split say of its lesions.

  Args:
    split: the records, with a source of masks.

  Returns:
    lesion_missing: share of the images without a usable lesion: seen whole, scored like all others.
    lesion_at_border: share of the other images whose lesion reaches the image's border: part of it
      may lie outside, and a crop ends there; absent where there are no other images.
  """
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    boxes = list(pool.map(split.lesion_box, range(len(split))))
  known = np.array([box is not None for box in boxes])
  found = {'lesion_missing': _share(~known, split.group_ids)}
  if known.any():
    touching = np.array([box.touches_border for box in boxes if box is not None])
    found['lesion_at_border'] = _share(touching, split.group_ids[known])
  return found


def _share(flags: np.ndarray, groups: np.ndarray) -> Interval:
  share = float(flags.mean())
  low, high = wilson(share, len(np.unique(groups)))
  return {'value': share, 'low': low, 'high': high, 'n': len(flags)}


def colour_metrics(
  config: ConfigDict, train: Split, splits: dict[str, Split], class_names: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
  """Measures what colour alone can tell: gradient boosting on 15 colour statistics.

  Args:
    config: of the run.
    train: what the baseline is fitted on.
    splits: what it is measured on, by name.
    class_names: K names.

  Returns:
    {name: interval of its macro AUC}, for `colour_baseline_auc`.
  """
  fitted = _colours(train)
  names = list(splits)
  measured = [_colours(splits[name]) for name in names]
  probabilities = colour_baseline(
    fitted, labels_of(train, class_names), np.concatenate(measured), len(class_names)
  )
  parts = np.split(probabilities, np.cumsum([len(rows) for rows in measured])[:-1])
  found = {}
  for name, part in zip(names, parts, strict=True):
    split = splits[name]
    metrics = evaluate(
      labels_of(split, class_names), part, split.group_ids, class_names, config.evaluate.resamples
    )
    found[name] = metrics['macro_auc']
  return found


def write_npz(path: epath.Path, **arrays: Any) -> None:
  """Writes arrays as compressed .npz, whole or not at all."""
  buffer = io.BytesIO()
  np.savez_compressed(buffer, **arrays)
  files.write_bytes(path, buffer.getvalue())


def _colours(split: Split) -> np.ndarray:
  return np.stack(map_images(colour_statistics, split, _BASELINE_PX))
