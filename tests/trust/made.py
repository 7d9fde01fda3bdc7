"""An evaluation of a made-up classifier, with everything that subgroups and cards are made of."""

from __future__ import annotations

import json

import numpy as np
from etils import epath

from configs import base
from lesionjax.data.records import Split
from lesionjax.evaluation.skin.ita import Tone
from lesionjax.trust.evaluated import Evaluated

NAMES = ('bkl', 'mel', 'nv')


def evaluated(run, sizes=(90, 240), seed=0, width=6, **options):
  """Two splits; scores are worse for women and better on dark skin."""
  rng = np.random.default_rng(seed)
  splits, outputs = {}, {}
  for name, size in zip(('validation', 'test'), sizes, strict=True):
    owner = np.concatenate([np.arange(size // 2), rng.integers(size // 2, size=size - size // 2)])
    labels = rng.choice(3, p=(0.2, 0.4, 0.4), size=size // 2)[owner].astype(np.int32)
    skill = np.where(np.arange(size) % 2 == 0, 4.0, 1.0)
    logits = rng.normal(size=(size, 3)) + skill[:, None] * np.eye(3)[labels]
    splits[name] = Split(
      name='made', split=name, class_names=NAMES, labels=labels,
      image_ids=np.array([f'{name}_{row}' for row in range(size)]),
      group_ids=np.array([f'{name}_lesion_{row}' for row in owner]),
      folds=np.zeros(size, np.int32), sources=(), places=np.zeros((size, 2), np.int64),
    )  # fmt: skip
    outputs[name] = {
      'logits': logits.astype(np.float32),
      'pre_logits': (3 * np.eye(3, width)[labels] + rng.normal(size=(size, width))).astype('f4'),
    }
  config = base.get_config()
  config.evaluate.resamples = 60
  for key, value in options.items():
    config.evaluate[key] = value
  place = epath.Path(run)
  return Evaluated(config, place, place, NAMES, splits, outputs)


def metadata(split):
  """Men in even rows; the last rows without age; two sources, one of them without nevi."""
  size = len(split)
  age = np.where(np.arange(size) < size - 7, 20.0 + np.arange(size) % 70, np.nan)
  return {
    'sex': np.where(np.arange(size) % 2 == 0, 'male', 'female'),
    'age': age,
    'source': np.where((split.labels == 2) | (np.arange(size) % 3 > 0), 'clinic', 'practice'),
  }


def tones(split):
  """Very light skin, every fifth tan, every tenth not measured."""
  reason = 'too little skin around the lesion'
  return [
    Tone(None, None, 0, reason) if row % 10 == 0 else Tone(20.0 if row % 5 == 0 else 60.0, 2.0, 99)
    for row in range(len(split))
  ]


def write_threshold(run, value=0.4):
  """The part of thresholds.json that is read here."""
  content = {
    'positive': {'name': 'malignant'},
    'fitted': {
      'on': 'validation', 'problem': None, 'points': {'sensitivity_90': {'threshold': value}}
    },
  }  # fmt: skip
  (epath.Path(run) / 'thresholds.json').write_text(json.dumps(content))
