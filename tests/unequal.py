"""The tiny data with classes of unequal size, and phases that treat them."""

from __future__ import annotations

import numpy as np

from lesionjax.runs import pieces
from lesionjax.runs.run_data import open_training_data

OFF = {'flip_horizontal': False, 'rotation_deg': 0.0, 'noise_std': 0.0}
WHOLE = {'name': 'whole', 'epochs': 1}
DEFERRED = {
  'name': 'deferred',
  'epochs': 1,
  'data': {'sampling': 'oversample'},
  'train': {'class_weights': 'effective'},
}
HEAD = {
  'name': 'head',
  'epochs': 1,
  'trainable': 'head',
  'cache_features': True,
  'reinit_head': True,
  'augment': OFF,
  'data': {'resample': 'smote', 'resample_neighbours': 3},
  'train': {'loss': 'cross_entropy'},
}


def imbalanced(config):
  """The tiny data with six images of every class but two."""
  split = open_training_data(config)
  rank = np.array([(split.labels[:i] == split.labels[i]).sum() for i in range(len(split))])
  return split.take((split.labels < 2) | (rank < 6))


def ldam_then_smote(config, monkeypatch):
  """Returns LDAM, then weights and another order, then a new head on SMOTE's features."""
  config.train.loss = 'ldam'
  with config.unlocked():
    config.model.arguments.head = 'cosine'
  config.train.batch_size = 16
  config.train.ema_decay = 0.9
  config.checkpoint.every_steps = 2
  config.phases = (WHOLE, DEFERRED, HEAD)
  monkeypatch.setattr(pieces, 'open_training_data', imbalanced)
  return config
