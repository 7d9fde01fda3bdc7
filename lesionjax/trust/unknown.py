"""Images of classes that a run does not know: how well a score tells them from the known ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from lesionjax.data.records import Split
from lesionjax.evaluation.calibration import novelty
from lesionjax.evaluation.calibration.resampling import Groups
from lesionjax.host import files
from lesionjax.report.run_files import read_npz
from lesionjax.runs import run_data
from lesionjax.runs.scoring import write_npz
from lesionjax.trust.evaluated import Evaluated, Unknown

_UNFITTED = 'there are no features of validation images to measure the distance from'


def unscored(splits: Mapping[str, Split]) -> dict[str, Split]:
  """The images without a class that the run knows, of the splits that have any.

  Args:
    splits: from `run_data.open_data`.
  """
  return {
    name: split.take(split.labels < 0) for name, split in splits.items() if (split.labels < 0).any()
  }


def gather(
  config: ConfigDict,
  splits: Mapping[str, Split],
  outputs: Mapping[str, dict[str, np.ndarray]],
  eval_data: str = '',
) -> dict[str, Unknown]:
  """What `Evaluated.unknown` holds.

  Args:
    config: of the run.
    splits: from `unscored`.
    outputs: of the network on them, by the same names.
    eval_data: another data set, or '' for the run's own.
  """
  return {
    name: Unknown(split, run_data.names_of_unknown(config, split, eval_data), outputs[name])
    for name, split in splits.items()
  }


def write(evaluated: Evaluated) -> None:
  """Writes novelty.json and novelty_<split>.npz where a split has unknown images; else nothing.

  Args:
    evaluated: of a classifier.
  """
  if not evaluated.unknown:
    return
  distance, fitted_on = _distance(evaluated)
  told = {
    'left_out': list(evaluated.config.data.leave_out_classes),
    'fitted_on': fitted_on,
    'reason': '' if distance else f'The distance of features is left out: {_UNFITTED}.',
    'splits': {},
  }
  for name, unknown in evaluated.unknown.items():
    known = _scores(evaluated.outputs[name], distance)
    new = _scores(unknown.outputs, distance)
    groups = np.concatenate([evaluated.groups(name), unknown.split.group_ids])
    told['splits'][name] = _measured(
      known, new, unknown.names, groups, evaluated.config.evaluate.resamples
    )
    arrays = {f'known_{key}': value for key, value in known.items()}
    arrays |= {f'unknown_{key}': value for key, value in new.items()}
    write_npz(
      evaluated.out_dir / f'novelty_{name}.npz',
      image_id=unknown.split.image_ids,
      group_id=unknown.split.group_ids,
      name=unknown.names,
      **arrays,
    )
  files.write_json(evaluated.out_dir / 'novelty.json', told)


def _distance(evaluated: Evaluated) -> tuple[novelty.Distance | None, dict[str, Any] | None]:
  """Where known classes lie, by validation features; those of a run's own evaluation for others."""
  split = evaluated.validation
  if split is not None:
    found = evaluated.outputs[split]['pre_logits'], evaluated.labels(split)
  else:
    split = evaluated.config.data.validation_split
    path = evaluated.run_dir / f'predictions_{split}.npz'
    found = read_npz(path, lambda arrays: (arrays['pre_logits'], arrays['label']))
  if found is None:
    return None, None
  features, labels = found
  return novelty.Distance.fit(features, labels), {'split': split, 'images': len(labels)}


def _scores(
  outputs: Mapping[str, np.ndarray], distance: novelty.Distance | None
) -> dict[str, np.ndarray]:
  """Every score of `novelty`, float64 [N] each."""
  scores = {
    'energy': novelty.energy(outputs['logits']),
    'max_softmax': novelty.max_softmax(outputs['logits']),
  }
  if distance is not None:
    scores['distance'] = distance.score(outputs['pre_logits'])
  return scores


def _measured(
  known: Mapping[str, np.ndarray],
  unknown: Mapping[str, np.ndarray],
  names: np.ndarray,
  groups: np.ndarray,
  resamples: int,
) -> dict[str, Any]:
  """Counts, and every score on all unknown images and on those of each name.

  Args:
    known: scores of the N known images.
    unknown: scores of the M unknown ones.
    names: str [M].
    groups: [N + M].
    resamples: of the bootstrap.
  """
  count = len(groups) - len(names)
  kinds = np.unique(names).tolist()
  flags = np.concatenate([np.zeros(count, bool), np.ones(len(names), bool)])
  of_kind = np.concatenate([np.full(count, ''), names])
  chosen = {'all': np.ones(len(groups), bool)}
  if len(kinds) > 1:
    chosen |= {kind: ~flags | (of_kind == kind) for kind in kinds}
  drawn = {kind: Groups.of(groups[rows], resamples) for kind, rows in chosen.items()}
  scores = {key: np.concatenate([known[key], unknown[key]]) for key in known}
  return {
    'known': count,
    'unknown': {kind: int((names == kind).sum()) for kind in kinds},
    'scores': {
      key: {
        kind: novelty.measure(score[rows], flags[rows], drawn[kind])
        for kind, rows in chosen.items()
      }
      for key, score in scores.items()
    },
  }
