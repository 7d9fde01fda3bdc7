"""Which values keys may have, and what keys that came later were before."""

from __future__ import annotations

from typing import Any

from lesionjax.data import resample
from lesionjax.data.lesion import BACKGROUNDS, MODES
from lesionjax.data.sampling import SAMPLINGS
from lesionjax.generation import gan_config
from lesionjax.training import imbalance

# Keys that runs of earlier versions lack, with the value that changes nothing.
LATER: dict[str, Any] = {
  'data.classes': '',
  'data.preprocess': '',
  'data.input': 'stream',
  'task': 'classify',
  'data.height_px': 0,
  'data.leave_out_folds': (),
  'segmenter': None,
  'data.lesion': 'none',
  'data.lesion_masks': 'true',
  'data.lesion_margin': 0.1,
  'augment.quarter_turns': False,
  'train.auxiliary_weight': 0.4,
  'train.loss': 'cross_entropy',
  'train.pos_weight': 1.0,
  'train.focal_gamma': 2.0,
  'train.logit_adjustment': 1.0,
  'train.ldam_margin': 0.5,
  'train.class_weights': 'none',
  'train.effective_beta': 0.999,
  'data.synthetic': '',
  'data.synthetic_share': 1.0,
  'data.resample': 'none',
  'data.resample_space': 'features',
  'data.resample_neighbours': 5,
  'model.pretrained': '',
  'model.reinit': ('head',),
  'phases': (),
  'select.phase': 'any',
  'gan': gan_config.DEFAULTS,
  'data.leave_out_classes': (),
  'data.background': 'none',
  'evaluate.positive': 'malignant',
  'evaluate.cost_ratio': 10.0,
  'evaluate.bins': 15,
  'evaluate.coverage': 0.9,
  'evaluate.subgroups': True,
  'evaluate.min_count': 10,
  'evaluate.explain': 24,
  'evaluate.feature_map': 1000,
}

CHOICES: dict[str, tuple[str, ...]] = {
  'task': ('classify', 'segment', 'generate'),
  'protocol': ('rigorous', 'published'),
  'data.sampling': SAMPLINGS,
  'data.resample': ('none', *resample.METHODS),
  'data.resample_space': resample.SPACES,
  'data.input': ('stream', 'ram', 'device'),
  'data.lesion': MODES,
  'data.background': BACKGROUNDS,
  'select.phase': ('any', 'last'),
  'train.class_weights': imbalance.WEIGHTS,
  'model.dtype': ('float32', 'bfloat16'),
  'optimiser.name': ('adamw', 'adam', 'sgd'),
  'schedule.name': ('constant', 'step', 'cosine', 'one_cycle', 'plateau'),
  **gan_config.CHOICES,
}

# key -> (lowest, highest, which the message calls it)
RANGES: dict[str, tuple[float, float | None]] = {
  'seed': (0, 2**32 - 1),
  'num_devices': (0, None),
  'data.size_px': (8, 4096),
  'data.height_px': (0, 4096),  # see _validate_images
  'data.num_threads': (0, 1024),
  'data.synthetic_share': (1e-6, 1.0),
  'data.resample_neighbours': (1, 1000),
  'train.auxiliary_weight': (0.0, 100.0),
  'train.epochs': (1, None),
  'train.batch_size': (1, None),
  'train.accumulate': (1, None),
  'train.label_smoothing': (0.0, 0.999),
  'train.pos_weight': (1e-6, 1e6),
  'train.focal_gamma': (0.0, 20.0),
  'train.logit_adjustment': (0.0, 10.0),
  'train.ldam_margin': (0.0, 2.0),
  'train.effective_beta': (0.0, 0.9999999),
  'train.clip_norm': (0.0, None),
  'train.ema_decay': (0.0, 0.999999),
  'optimiser.weight_decay': (0.0, None),
  'optimiser.beta1': (0.0, 0.999999),
  'optimiser.beta2': (0.0, 0.999999),
  'schedule.warmup_epochs': (0.0, None),
  'schedule.final_fraction': (0.0, 1.0),
  'schedule.rise_share': (0.0, 1.0),
  'schedule.step_epochs': (1, None),
  'schedule.step_factor': (0.0, 1.0),
  'schedule.plateau_factor': (0.0, 1.0),
  'schedule.plateau_epochs': (1, None),
  'schedule.plateau_floor': (0.0, None),
  'select.patience_epochs': (0, None),
  'checkpoint.every_steps': (0, None),
  'log.every_steps': (1, None),
  'evaluate.batch_size': (1, None),
  'evaluate.resamples': (1, None),
  'evaluate.examples': (0, 200),
  'evaluate.cost_ratio': (1e-6, 1e6),
  'evaluate.bins': (2, 100),
  'evaluate.coverage': (0.5, 0.999),
  'evaluate.min_count': (1, 10_000),
  'evaluate.explain': (0, 200),
  'evaluate.feature_map': (0, 20_000),
  **gan_config.RANGES,
}
