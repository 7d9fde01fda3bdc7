"""Where a classifier puts its images before the last layer: feature_space.npz and .json."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionjax.evaluation import projection
from lesionjax.evaluation.calibration.resampling import Groups, interval, ratio
from lesionjax.evaluation.neighbourhood import nearest
from lesionjax.host import files
from lesionjax.runs.scoring import write_npz
from lesionjax.trust.evaluated import Evaluated

NEIGHBOURS = 10
_LEAST = 20  # images of which a map can be drawn, and neighbours be told


def write(evaluated: Evaluated) -> None:
  """Writes a map (t-SNE) of pre-logits and what nearest neighbours say of them.

  feature_space.npz holds coordinates, label and split of at most `config.evaluate.feature_map`
  images, as many of every class and, where there are enough, of both splits. feature_space.json
  holds the numbers, which are of all images and of the features themselves, not of the map.

  Args:
    evaluated: a classifier's outputs; validation and the split that is measured first.
  """
  most = evaluated.config.evaluate.feature_map
  names = [name for name in (evaluated.validation, *evaluated.measured[:1]) if name]
  if not most or not names or any(len(evaluated.splits[name]) < _LEAST for name in names):
    return
  parts = [evaluated.outputs[name]['pre_logits'] for name in names]
  features = np.concatenate([part.reshape(len(part), -1) for part in parts])
  labels = np.concatenate([evaluated.labels(name) for name in names])
  split = np.repeat(np.arange(len(names)), [len(part) for part in parts])
  chosen = projection.choose_rows(labels, split > 0, most)
  if len(chosen) < _LEAST:
    return
  write_npz(
    evaluated.out_dir / 'feature_space.npz',
    coordinates=projection.project(features[chosen], evaluated.config.seed),
    label=labels[chosen],
    split=np.array(names)[split[chosen]],
    class_names=np.array(evaluated.class_names),
  )
  found = _numbers(evaluated, names) if len(names) == 2 else {}
  files.write_json(
    evaluated.out_dir / 'feature_space.json',
    {'splits': names, 'images': len(features), 'width': features.shape[1], **found},
  )


def _numbers(evaluated: Evaluated, names: list[str]) -> dict[str, Any]:
  """Neighbours of the measured split's images among those of validation, and among both.

  Returns:
    neighbours: k. agreement: of every class and of their mean ('macro'), the share of the k nearest
    validation images that are of the image's own class; chance: the class's share of validation,
    what neighbours drawn blindly would reach. same_split: share of the k nearest images among both
    splits that are of the image's own; expected_split: that split's share, which it is where both
    splits look alike.
  """
  known, asked = names
  features = {n: evaluated.outputs[n]['pre_logits'].reshape(len(evaluated.splits[n]), -1)
              for n in names}  # fmt: skip
  groups = {name: evaluated.groups(name) for name in names}
  labels = {name: evaluated.labels(name) for name in names}
  count = len(labels[asked])
  near = nearest(features[asked], groups[asked], features[known], groups[known], NEIGHBOURS)
  same = (labels[known][near] == labels[asked][:, None]).mean(1)
  both = nearest(
    features[asked], groups[asked],
    *(np.concatenate([part[name] for name in names]) for part in (features, groups)),
    neighbours=NEIGHBOURS,
  )  # fmt: skip
  of_asked = (both >= len(labels[known])).mean(1)
  drawn = Groups.of(groups[asked], evaluated.config.evaluate.resamples)
  member = labels[asked][:, None] == np.arange(len(evaluated.class_names))
  means = ratio(drawn.sums(member * same[:, None]), drawn.sums(member))  # [R, K]
  present = member.any(0)
  agreement: dict[str, Any] = {'macro': interval(np.nanmean(means[:, present], axis=1), count)}
  for c, name in enumerate(evaluated.class_names):
    mine = drawn.count(member[:, c])
    agreement[name] = interval(means[:, c], int(member[:, c].sum()), mine) if mine else None
  return {
    'neighbours': NEIGHBOURS,
    'agreement': agreement,
    'chance': {
      name: float((labels[known] == c).mean()) for c, name in enumerate(evaluated.class_names)
    },
    'same_split': interval(drawn.means(of_asked), count, len(drawn)),
    'expected_split': count / (count + len(labels[known])),
  }
