"""From the outputs of a segmenter on a split to the files that the report reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from data_builders.cleaning.hair import hair_mask
from data_builders.cleaning.otsu import otsu_mask
from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.data.records import Split
from lesionjax.evaluation.segmentation import metrics, postprocess
from lesionjax.evaluation.segmentation.summarise import paired_differences, summarise
from lesionjax.host import files
from lesionjax.runs import run_directory
from lesionjax.runs.scoring import lesion_shares, write_npz

Outputs = Mapping[str, np.ndarray]
"""probability uint8 [N, H, W] (255 = 1) and mask uint8 [N, H, W] of 0 and 1."""

VALIDATION_METRICS = ('loss', 'dice', 'jaccard', 'threshold_jaccard', 'pixel_accuracy')
_EXAMPLE_PX = 320
_HAIR_PX = 256  # as in the pages about data


def validation_metrics(outputs: Outputs) -> dict[str, float]:
  """Returns the metrics of an epoch at probability .5, means over images.

  `loss` is the binary log loss of the pixels' probabilities, which are known to 1 in 255: those of
  0 and 1 count as half a step away.
  """
  total = dict.fromkeys(VALIDATION_METRICS, 0.0)
  grid = np.clip(np.arange(256) / 255.0, 0.5 / 255, 1 - 0.5 / 255)
  costs = np.stack([-np.log1p(-grid), -np.log(grid)])
  for probability, mask in zip(outputs['probability'], outputs['mask'], strict=True):
    predicted, lesion = probability >= 128, mask > 0
    both = np.count_nonzero(predicted & lesion)
    sizes = np.count_nonzero(predicted) + np.count_nonzero(lesion)
    jaccard = both / (sizes - both) if sizes else 1.0
    total['loss'] += costs[mask, probability].mean()
    total['dice'] += 2 * both / sizes if sizes else 1.0
    total['jaccard'] += jaccard
    total['threshold_jaccard'] += jaccard * (jaccard >= metrics.FAILURE_JACCARD)
    total['pixel_accuracy'] += (predicted == lesion).mean()
  return {name: float(value / len(outputs['mask'])) for name, value in total.items()}


def score(
  config: ConfigDict,
  out_dir: epath.Path,
  splits: Mapping[str, Split],
  outputs: Mapping[str, Outputs],
  fitted: postprocess.Postprocess | None = None,
) -> dict[str, Any]:
  """Writes post-processing, predictions and examples of every split; measures with intervals.

  Args:
    config: of the run.
    out_dir: where the files go.
    splits: records by name; the first is validation unless `fitted` is given.
    outputs: of every split, in the order of its records.
    fitted: post-processing from the run's validation; None fits it on the first split.

  Returns:
    For every split NAME: {NAME: metrics of the network, and how many lesions reach the border;
    NAME_plain: without post-processing,
    NAME_otsu: of Otsu's threshold, NAME_gain: network - Otsu, paired}.
  """
  if fitted is None:
    first = next(iter(splits))
    fitted = postprocess.fit(_Probabilities(outputs[first]), list(outputs[first]['mask']))
  files.write_json(out_dir / 'postprocess.json', fitted.to_dict())
  found: dict[str, Any] = {}
  for name, split in splits.items():
    found |= _score_split(config, out_dir, split, name, outputs[name], fitted)
  return found


def read_postprocess(run_dir: epath.Path) -> postprocess.Postprocess:
  """Returns the post-processing that a run's validation chose.

  Raises:
    UserError: the run has not been evaluated, or the file is damaged.
  """
  missing = f'{run_dir} has no postprocess.json: it is no segmenter that has been evaluated'
  found = run_directory.read_json(run_dir, 'postprocess.json', missing)
  try:
    return postprocess.Postprocess.from_dict(found)
  except UserError as error:
    reason = str(error).rstrip('.')
    raise UserError(
      f'{run_dir / "postprocess.json"} is damaged ({reason}): evaluate the run again.'
    ) from error


def _score_split(
  config: ConfigDict,
  out_dir: epath.Path,
  split: Split,
  name: str,
  outputs: Outputs,
  fitted: postprocess.Postprocess,
) -> dict[str, Any]:
  probabilities, truth, ids = _Probabilities(outputs), outputs['mask'], split.image_ids.tolist()
  predicted = np.stack(_parallel(fitted, probabilities))
  otsu = np.stack(_parallel(lambda row: _otsu(config, split, row), range(len(split))))
  values = {
    'network': metrics.measure(predicted, truth, ids),
    'plain': metrics.measure(outputs['probability'] >= 128, truth, ids),
    'otsu': metrics.measure(otsu, truth, ids),
  }
  write_npz(
    out_dir / f'predictions_{name}.npz',
    image_id=split.image_ids,
    group_id=split.group_ids,
    label=split.labels,
    class_names=np.array(split.class_names),
    probability=outputs['probability'],
    lesion_share=truth.mean(axis=(1, 2)),
    hair_share=np.array(_parallel(lambda row: _hair(split, row), range(len(split)))),
    metric_names=np.array(metrics.NAMES),
    **{key: np.stack([each[m] for m in metrics.NAMES], 1) for key, each in values.items()},
  )
  _write_examples(config, out_dir, split, name, values['network']['dice'], predicted, otsu)
  groups, resamples = split.group_ids, config.evaluate.resamples
  network = values['network']
  shares = lesion_shares(split)  # by the true masks, at their full size
  shares.pop('lesion_missing')
  return {
    name: {**summarise(network, groups, resamples), **shares},
    f'{name}_plain': summarise(values['plain'], groups, resamples),
    f'{name}_otsu': summarise(values['otsu'], groups, resamples),
    f'{name}_gain': paired_differences(network, values['otsu'], groups, resamples),
  }


def _write_examples(
  config: ConfigDict,
  out_dir: epath.Path,
  split: Split,
  name: str,
  dice: np.ndarray,
  predicted: np.ndarray,
  otsu: np.ndarray,
) -> None:
  """The best, the median and the worst images, for overlays."""
  chosen = examples(dice, config.evaluate.examples, split.group_ids)
  height, width = config_lib.image_size(config)
  scale = _EXAMPLE_PX / max(height, width)
  size = (round(height * scale), round(width * scale))
  pixels = [split.decode(row, size) for row in chosen]
  write_npz(
    out_dir / f'examples_{name}.npz',
    index=np.asarray(chosen, np.int64),
    image=np.asarray([each[..., :3] for each in pixels], np.uint8).reshape(-1, *size, 3),
    mask=np.asarray([each[..., 3] for each in pixels], np.uint8).reshape(-1, *size),
    predicted=predicted[chosen],
    otsu=otsu[chosen],
  )


def examples(dice: np.ndarray, count: int, groups: np.ndarray) -> np.ndarray:
  """Picks the best, the median and the worst images, a third each, no two of a group.

  Args:
    dice: float [N].
    count: how many images to pick at most.
    groups: [N] ids.

  Returns:
    int64 [M], best first, then those around the median, then the worst, the very worst last.
  """
  order = np.argsort(-dice, kind='stable')
  third = min(count, len(np.unique(groups))) // 3
  worst = _first_of_groups(order[::-1], groups, third)  # first: the very worst must be seen
  best = _first_of_groups(order, groups, third, worst)
  # Around the middle in turn, from there outwards.
  middle = np.argsort(np.abs(np.arange(len(order)) - len(order) / 2), kind='stable')
  median = _first_of_groups(order[middle], groups, third, best + worst)
  median.sort(key=lambda row: -dice[row])
  return np.array(best + median + worst[::-1], np.int64)


def _first_of_groups(
  rows: np.ndarray, groups: np.ndarray, count: int, without: Sequence[int] = ()
) -> list[int]:
  """The first rows of so many groups, and of none that other rows belong to."""
  taken = {groups[row] for row in without}
  chosen: list[int] = []
  for row in rows.tolist():
    if len(chosen) < count and groups[row] not in taken:
      taken.add(groups[row])
      chosen.append(row)
  return chosen


class _Probabilities(Sequence[np.ndarray]):
  """The maps of a split as float32 in [0, 1], one at a time."""

  def __init__(self, outputs: Outputs):
    self._bytes = outputs['probability']

  def __len__(self) -> int:
    return len(self._bytes)

  def __getitem__(self, row: Any) -> Any:
    return self._bytes[row].astype(np.float32) / np.float32(255)


def _hair(split: Split, row: int) -> float:
  """Share of an image's pixels that look like hair."""
  return float((hair_mask(split.decode(row, _HAIR_PX)[..., :3]) > 0).mean())


def _otsu(config: ConfigDict, split: Split, row: int) -> np.ndarray:
  return otsu_mask(split.decode(row, config_lib.image_size(config))[..., :3])


def _parallel(function: Any, items: Iterable[Any]) -> list[Any]:
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    return list(pool.map(function, items))
