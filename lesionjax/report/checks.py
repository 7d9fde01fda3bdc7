"""Do the numbers belong to the data? Support against counts, predictions against metrics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from data_builders.errors import UserError
from data_builders.labels import map_labels
from lesionjax.report.run_files import Run, number

_DIVERGED = 100


def support_problems(run: Run) -> tuple[list[str], list[str]]:
  """Compares support with the counts of the data set.

  Returns:
    Problems (empty if all is well), and the splits that could not be checked with the reason.
  """
  problems: list[str] = []
  unchecked: list[str] = []
  known = run.data.get('splits') or {}
  for split in run.splits:
    problems += _predictions(run, split)
    if split not in known:
      unchecked.append(f'{split}: data.json has no counts of this split.')
      continue
    try:
      expected = _expected(run, known[split])
    except UserError as error:
      unchecked.append(f'{split}: {error}')
      continue
    for name, count in expected.items():
      told = number((run.metrics[split].get(f'support/{name}') or {}).get('value'))
      if told != count:
        problems.append(
          f'{split}: metrics rest on {_count(told)} images of class {name}, the data hold '
          f'{count:,}.'
        )
  return problems, unchecked


def divergence(run: Run) -> str:
  """Says that training diverged though its numbers stayed finite; '' where it did not.

  A loss a hundred times that of guessing is far from everything a working run shows, LDAM's scaled
  logits included; batch norm keeps such a network's outputs finite.
  """
  losses = [number(record.get('loss')) for record in run.history.get('train', ())]
  classes = len(run.class_names)
  chance = math.log(classes) if classes > 1 else math.nan
  if not losses or not losses[-1] > _DIVERGED * chance:
    return ''
  return (
    f'Training diverged: its loss ended at {losses[-1]:.3g}, where guessing has {chance:.2f}. Lower'
    ' config.optimiser.learning_rate, in another --workdir.'
  )


def _predictions(run: Run, split: str) -> list[str]:
  """Support in the metrics against the labels that were predicted."""
  predictions = run.predictions.get(split)
  if predictions is None:
    return []
  counts = np.bincount(predictions.labels, minlength=len(predictions.class_names))
  problems = []
  for name, count in zip(predictions.class_names, counts, strict=True):
    told = number((run.metrics[split].get(f'support/{name}') or {}).get('value'))
    if told != count:
      problems.append(
        f'{split}: metrics rest on {_count(told)} images of class {name}, the predictions hold '
        f'{count:,}.'
      )
  return problems


def _expected(run: Run, split: dict[str, Any]) -> dict[str, int]:
  """Images of every class of the run, the classes of the data mapped onto them."""
  names = run.class_names
  support = {str(name): int(count) for name, count in (split.get('support') or {}).items()}
  target = map_labels(list(support), names)
  expected = dict.fromkeys(names, 0)
  for count, index in zip(support.values(), target, strict=True):
    expected[names[index]] += count
  return expected


def _count(value: float) -> str:
  return 'an unknown number of' if np.isnan(value) else f'{value:,.0f}'
