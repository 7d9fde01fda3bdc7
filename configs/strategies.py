"""Strategies against classes of unequal size, as changes of a recipe's configuration.

  name              what changes                                               source
  none              nothing
  undersample       a new random part of every class, as large as the rarest
  oversample        every class repeated to the size of the largest
  class_aware       every class drawn alike                                    Shen 2016
  sqrt              shares by the square root of the class's size              Mahajan 2018
  class_weights     weights n / (K n_c)                                        King 2001
  effective_number  weights by the effective number of samples                 Cui 2019
  focal             focal loss                                                 Lin 2017
  logit_adjusted    balanced softmax                                           Menon, Ren 2020
  ldam_drw          margins and a cosine head; at the end weights, too         Cao 2019
  crt               at the end a new head, every class drawn alike             Kang 2020
  smote             at the end a new head, on features filled by SMOTE         Chawla 2002
  adasyn            the same by ADASYN                                         He 2008
  smote_pixels      images between images, SMOTE on raw pixels                 recipe 1's text
  cgan              generated images beside the real ones, see lesion_gan.py   recipe 1's text

`pos_weight` is no row: it weighs the one positive class of two (configs/ham_binary.py,
configs/two_stage_melanoma.py have it); among several classes that is what class_weights does.

Where a strategy has the end of a run to itself, the best epoch is looked for there alone: an epoch
before it would be one of another strategy.

None adds a step: what happens at the end takes the last fifth of the epochs (of LDAM's text: 40 of
200), and before it the run is one of `none` (or of LDAM) with fewer epochs. Where the backbone is
frozen from the start, the head learns that way in all epochs, and class_aware and crt are the same.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from configs import base

# Strategy -> keys of the whole run; of 'cgan' the recipe says which images (data.synthetic).
_KEYS: dict[str, dict[str, Any]] = {
  'none': {},
  'undersample': {'data.sampling': 'undersample'},
  'class_weights': {'train.class_weights': 'balanced'},
  'effective_number': {'train.class_weights': 'effective'},
  'oversample': {'data.sampling': 'oversample'},
  'class_aware': {'data.sampling': 'balanced'},
  'sqrt': {'data.sampling': 'sqrt'},
  'focal': {'train.loss': 'focal'},
  'logit_adjusted': {'train.loss': 'logit_adjusted'},
  'ldam_drw': {'train.loss': 'ldam'},
  'crt': {},
  'smote': {},
  'adasyn': {},
  'smote_pixels': {'data.resample': 'smote', 'data.resample_space': 'pixels'},
  'cgan': {},
}

# Strategy -> what a head that is drawn anew at the end changes.
_NEW_HEAD: dict[str, dict[str, Any]] = {
  'crt': {'sampling': 'balanced'},
  'smote': {'resample': 'smote'},
  'adasyn': {'resample': 'adasyn'},
}

_DEFERRED_BETA = 0.9999
"""Of the weights at the end of ldam_drw, as LDAM's text has it."""

NAMES = tuple(_KEYS)
HEAD_RATE = 1e-2
"""Learning rate of a new head, as of a head before its backbone moves."""


def late_epochs(strategy: str, epochs: int) -> int:
  """Returns how many of a run's last epochs a strategy takes for itself."""
  late = strategy in _NEW_HEAD or strategy == 'ldam_drw'
  return max(1, round(epochs / 5)) if late else 0


def apply(config: ConfigDict, strategy: str, late: int, head_rate: float = HEAD_RATE) -> None:
  """Changes a configuration; call it last.

  Args:
    config: of the recipe. Its phases, or the one phase it is, have the epochs that are left.
    strategy: of `NAMES`.
    late: epochs from `late_epochs`.
    head_rate: learning rate of a head that is drawn anew at the end.
  """
  config.update_from_flattened_dict(_KEYS[strategy])
  if strategy == 'ldam_drw':
    head = config.model.arguments.get('head', '')
    with config.unlocked():
      config.model.arguments.head = f'{head}_cosine' if head else 'cosine'
  if not late:
    return
  phases = tuple(dict(phase) for phase in config.phases)
  phases = phases or ({'name': 'all', 'epochs': config.train.epochs},)
  config.select.phase = 'last'
  config.phases = (*phases, _last_phase(config, phases[-1], late, strategy, head_rate))


def apply_frozen(config: ConfigDict, strategy: str, late: int) -> None:
  """Changes a configuration whose only phase trains a head on stored features.

  Args:
    config: of the recipe.
    strategy: of `NAMES`.
    late: epochs from `late_epochs`; only deferred weights need them.
  """
  (phase,) = (dict(phase) for phase in config.phases)
  if strategy in _NEW_HEAD:  # the head is new from the start
    config.phases = ({**phase, 'epochs': phase['epochs'] + late, 'data': _NEW_HEAD[strategy]},)
    late = 0
  apply(config, strategy, late)


def _last_phase(
  config: ConfigDict, before: dict[str, Any], late: int, strategy: str, head_rate: float
) -> dict[str, Any]:
  """Weights and a tenth of the rate, or a new head."""
  if strategy == 'ldam_drw':
    rate = before.get('optimiser', {}).get('learning_rate', config.optimiser.learning_rate)
    carried = {key: before[key] for key in ('trainable', 'cache_features') if key in before}
    return {
      'name': 'deferred',
      'epochs': late,
      **carried,
      'optimiser': {'learning_rate': rate / 10},
      'train': {'class_weights': 'effective', 'effective_beta': _DEFERRED_BETA},
    }
  return {
    'name': 'new_head',
    'epochs': late,
    'trainable': 'head',
    'reinit_head': True,
    'cache_features': True,
    'augment': base.get_config().augment.to_dict(),  # stored features: nothing random before them
    'optimiser': {'learning_rate': head_rate},
    'data': _NEW_HEAD[strategy],
  }
