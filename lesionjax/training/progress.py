"""What the host remembers of a run beside the arrays: best checkpoint, patience, plateau."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

# Everything else that validation measures is better when higher.
LOWER_IS_BETTER = ('loss', 'log_loss', 'discriminator_loss', 'fid', 'kid')


@dataclasses.dataclass(frozen=True)
class Progress:
  """Saved with every checkpoint, so that a resumed run decides as an uninterrupted one.

  Attributes:
    epoch: epochs finished.
    phase: index of the training phase.
    phase_step: optimiser steps made before it.
    best_metric: value of the selection metric at the best epoch; None before the first, of the run
      or of a phase in which the search begins anew.
    best_step: its step.
    improvements: how often a new best was found; ranks the checkpoints.
    phase_best: best value of the selection metric within the phase; None before its first epoch.
    epochs_without_better: since the phase's best epoch, for early stopping.
    lowest_loss: lowest validation loss of the phase, for the plateau schedule.
    epochs_on_plateau: since the lowest loss or the last reduction.
    plateau_scale: product of the phase's reductions so far.
    stopped_early: whether patience ran out in this phase.
    train_wall_s: seconds spent training and on the features that it stores, over all starts and
      phases.
  """

  epoch: int = 0
  phase: int = 0
  phase_step: int = 0
  best_metric: float | None = None
  best_step: int = 0
  improvements: int = 0
  phase_best: float | None = None
  epochs_without_better: int = 0
  lowest_loss: float | None = None
  epochs_on_plateau: int = 0
  plateau_scale: float = 1.0
  stopped_early: bool = False
  train_wall_s: float = 0.0

  def to_json(self) -> dict[str, Any]:
    """Returns plain JSON types."""
    return dataclasses.asdict(self)

  @classmethod
  def from_json(cls, values: dict[str, Any]) -> Progress:
    """Reads what `to_json` wrote, now or before there were phases."""
    return cls(**{'phase_best': values['best_metric'], **values})


@dataclasses.dataclass(frozen=True)
class Rules:
  """How progress is judged, from the configuration.

  Attributes:
    metric: name of the validation metric that selects the checkpoint.
    patience_epochs: stop after this many epochs without a better one; 0 never stops.
    plateau_epochs: epochs without a lower loss before the rate drops; 0 never drops it.
    plateau_factor: what the rate is multiplied with.
    plateau_floor: smallest product of reductions.
  """

  metric: str
  patience_epochs: int = 0
  plateau_epochs: int = 0
  plateau_factor: float = 0.5
  plateau_floor: float = 0.0


def after_epoch(
  progress: Progress, validation: dict[str, float], step: int, rules: Rules
) -> Progress:
  """Judges a finished epoch.

  Args:
    progress: before it.
    validation: its validation metrics; must hold `rules.metric` and `loss`.
    step: optimiser steps made.
    rules: see `Rules`.

  Returns:
    The progress after it. An undefined metric (NaN) is never better. The first epoch is always
    taken as best, so that there is a best checkpoint.
  """
  value, loss = validation[rules.metric], validation['loss']
  sign = -1.0 if rules.metric in LOWER_IS_BETTER else 1.0
  best = progress.best_metric
  better = best is None or _is_better(sign * value, sign * best)
  best_here = progress.phase_best
  better_here = best_here is None or _is_better(sign * value, sign * best_here)
  lowest = progress.lowest_loss
  lower = lowest is None or _is_better(-loss, -lowest)
  waited = 0 if better_here else progress.epochs_without_better + 1
  flat = 0 if lower else progress.epochs_on_plateau + 1
  scale = progress.plateau_scale
  if rules.plateau_epochs and flat >= rules.plateau_epochs:
    # A floor above the rate must not raise it.
    scale, flat = min(scale, max(scale * rules.plateau_factor, rules.plateau_floor)), 0
  return dataclasses.replace(
    progress,
    epoch=progress.epoch + 1,
    best_metric=value if better else best,
    best_step=step if better else progress.best_step,
    improvements=progress.improvements + better,
    phase_best=value if better_here else best_here,
    epochs_without_better=waited,
    lowest_loss=loss if lower else lowest,
    epochs_on_plateau=flat,
    plateau_scale=scale,
    stopped_early=bool(rules.patience_epochs) and waited >= rules.patience_epochs,
  )


def next_phase(progress: Progress, step: int, forget_best: bool = False) -> Progress:
  """Returns the progress at the start of the next phase: its patience and plateau begin anew.

  Args:
    progress: at the end of the phase before.
    step: optimiser steps made.
    forget_best: whether the best epoch of the run is looked for from here on; the one of before
      stays the best until the phase has finished an epoch.
  """
  return dataclasses.replace(
    progress,
    best_metric=None if forget_best else progress.best_metric,
    phase=progress.phase + 1,
    phase_step=step,
    phase_best=None,
    epochs_without_better=0,
    lowest_loss=None,
    epochs_on_plateau=0,
    plateau_scale=1.0,
    stopped_early=False,
  )


def _is_better(value: float, best: float) -> bool:
  return not math.isnan(value) and (math.isnan(best) or value > best)
