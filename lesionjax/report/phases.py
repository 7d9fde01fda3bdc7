"""What every phase of a run trained and what it froze, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TRAINED = {
  'all': 'all parameters train',
  'head': 'the head trains, the backbone is frozen',
  'last_block': 'the last block and the head train, the rest is frozen',
}


def sentences(config: Mapping[str, Any]) -> list[str]:
  """One sentence a phase; none where a run has only one phase and no list of them.

  Args:
    config: of the run, in plain form.
  """
  return [_sentence(index, phase, config) for index, phase in enumerate(config.get('phases') or ())]


def _sentence(index: int, phase: Mapping[str, Any], config: Mapping[str, Any]) -> str:
  def told(section: str, key: str) -> Any:
    return (phase.get(section) or {}).get(key, (config.get(section) or {}).get(key))

  trainable = phase.get('trainable', 'all')
  if isinstance(trainable, str):
    trained = _TRAINED.get(trainable, trainable)
  else:
    trained = f'only parameters that match {" or ".join(map(str, trainable))} train'
  if phase.get('frozen'):
    trained += f', {" and ".join(map(str, phase["frozen"]))} frozen'
  if trainable != 'all' or phase.get('frozen'):
    moves = not phase.get('freeze_batch_stats', True)
    trained += f'; batch statistics of the frozen part {"move on" if moves else "are frozen, too"}'
  if phase.get('cache_features'):
    trained += '; on features that were computed once'
  if phase.get('reinit_head'):
    trained += '; the head is drawn anew at the start'
  changes = [
    f'{section}.{key}={value}'
    for section in ('data', 'train')
    for key, value in sorted((phase.get(section) or {}).items())
  ]
  if changes:
    trained += f'; with {", ".join(changes)}'
  name = phase.get('name') or f'phase{index + 1}'
  epochs = phase.get('epochs') or (config.get('train') or {}).get('epochs')
  rate, schedule = told('optimiser', 'learning_rate'), told('schedule', 'name')
  return f'{name}, at most {epochs} epochs at learning rate {rate} ({schedule}): {trained}.'
