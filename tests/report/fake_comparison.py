"""Directories of finished runs that nothing was trained for, scored on the same images.

`python -m tests.report.fake_comparison DIRECTORY` writes them and their comparison.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import sys

import numpy as np

from lesionjax.evaluation import evaluate
from lesionjax.evaluation.segmentation import NAMES as MASK_METRICS
from lesionjax.evaluation.segmentation import summarise
from tests.report import fake_run

CLASSES = ('other', 'mel')


def write_classifiers(
  folder: pathlib.Path, skills: dict[str, float], images=90, resamples=40, classes=CLASSES
):
  """Writes one run a name, the better the larger its skill; returns the folder."""
  names = list(skills)
  first = fake_run.write_fake_run(
    folder / names[0], classes, images, epochs=2, resamples=resamples, seed=1
  )
  (first / 'report.html').touch()
  change(first / 'config.json', lambda config: config.update(evaluate={'resamples': resamples}))
  for name in names[1:]:
    shutil.copytree(first, folder / name)
  for seed, (name, skill) in enumerate(skills.items()):
    _answer(folder / name, skill, seed, resamples, classes)
  return folder


def _answer(run: pathlib.Path, skill: float, seed: int, resamples: int, classes) -> None:
  """Gives a run predictions of its own, with the metrics that belong to them."""
  arrays = read(run)
  rng = np.random.default_rng(seed)
  if len(classes) == 2:
    noise = rng.normal(size=len(arrays['label']))
    logit = skill * (2 * arrays['label'] - 1) + noise
    p = (1 / (1 + np.exp(-logit))).astype(np.float32)
    arrays['probabilities'] = np.stack([1 - p, p], 1)
  else:
    own = np.eye(len(classes))[arrays['label']]
    p = np.exp(2 * skill * own + rng.normal(size=own.shape))
    arrays['probabilities'] = (p / p.sum(1, keepdims=True)).astype(np.float32)
  np.savez_compressed(run / 'predictions_test.npz', **arrays)
  found = evaluate(arrays['label'], arrays['probabilities'], arrays['group_id'], classes, resamples)
  change(run / 'metrics.json', lambda metrics: metrics.update(test=found))


def write_segmenters(folder: pathlib.Path, dice: dict[str, float], images=60):
  """Writes one run a name that reaches a mean Dice; returns the folder."""
  rng = np.random.default_rng(0)
  hard, groups = rng.uniform(0, 0.2, images), rng.integers(images // 2, size=images)
  for name, mean in dice.items():
    run = folder / name
    run.mkdir(parents=True)
    reached = np.clip(mean - hard + 0.01 * rng.normal(size=images), 0, 1)
    jaccard = reached / (2 - reached)
    values = dict.fromkeys(MASK_METRICS, reached)
    values['jaccard'] = jaccard
    values['threshold_jaccard'] = jaccard * (jaccard >= 0.65)
    values['failure'] = (jaccard < 0.65).astype(float)
    stacked = np.stack([values[metric] for metric in MASK_METRICS], 1)
    np.savez_compressed(
      run / 'predictions_test.npz',
      image_id=np.array([f'image_{row:04d}' for row in range(images)]),
      group_id=groups.astype(str),
      label=np.zeros(images, np.int64),
      class_names=np.array(['lesion']),
      lesion_share=np.full(images, 0.3),
      hair_share=np.linspace(0, 0.1, images),
      metric_names=np.array(MASK_METRICS),
      **dict.fromkeys(('network', 'plain', 'otsu'), stacked),
    )
    metrics = {'test': summarise(values, groups, 20)}
    (run / 'metrics.json').write_text(json.dumps(metrics))
    config = {'task': 'segment', 'data': {'size_px': 32}, 'evaluate': {'resamples': 40}}
    (run / 'config.json').write_text(json.dumps(config))
    (run / 'report.html').touch()
  return folder


def read(run: pathlib.Path) -> dict[str, np.ndarray]:
  with np.load(run / 'predictions_test.npz') as arrays:
    return dict(arrays)


def rewrite(run: pathlib.Path, edit) -> None:
  arrays = read(run)
  edit(arrays)
  np.savez_compressed(run / 'predictions_test.npz', **arrays)


def change(path: pathlib.Path, edit) -> None:
  value = json.loads(path.read_text())
  edit(value)
  path.write_text(json.dumps(value))


if __name__ == '__main__':
  from lesionjax.studies.comparing import compare

  place = pathlib.Path(sys.argv[1])
  skills = {f'row{row}': 0.2 * row for row in range(1, 12)}
  print(compare(str(write_classifiers(place, skills, 900, 1000)), 'row5'))
