"""Best checkpoint, patience and plateau, by hand."""

import math

from lesionjax.training.progress import Progress, Rules, after_epoch, next_phase


def run(values, losses=None, **rules):
  progress, rules = Progress(), Rules(metric=rules.pop('metric', 'macro_f1'), **rules)
  losses = losses or [1.0] * len(values)
  for step, (value, loss) in enumerate(zip(values, losses, strict=True), 1):
    progress = after_epoch(progress, {rules.metric: value, 'loss': loss}, step * 10, rules)
    yield progress


def test_best_is_the_first_of_equals():
  last = list(run([0.5, 0.7, 0.7, 0.6]))[-1]
  assert (last.best_metric, last.best_step, last.improvements) == (0.7, 20, 2)
  assert last.epochs_without_better == 2


def test_loss_is_better_when_lower():
  last = list(run([0.5, 0.4, 0.45], losses=[0.5, 0.4, 0.45], metric='loss'))[-1]
  assert (last.best_metric, last.best_step) == (0.4, 20)


def test_undefined_is_never_better_but_the_first_epoch_is_kept():
  states = list(run([math.nan, 0.2, math.nan]))
  assert states[0].best_step == 10
  assert states[-1].best_step == 20
  assert states[-1].best_metric == 0.2


def test_patience():
  states = list(run([0.5, 0.4, 0.4], patience_epochs=2))
  assert [s.stopped_early for s in states] == [False, False, True]


def test_plateau_halves_and_starts_to_count_again():
  losses = [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.6]
  states = list(run([0.1] * 7, losses, plateau_epochs=2, plateau_factor=0.5))
  assert [s.plateau_scale for s in states] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_plateau_stops_at_the_floor():
  states = list(run([0.1] * 5, plateau_epochs=1, plateau_factor=0.1, plateau_floor=0.05))
  assert states[-1].plateau_scale == 0.05


def test_a_metric_that_stays_undefined_runs_out_of_patience():
  last = list(run([math.nan] * 3, patience_epochs=2))[-1]
  assert last.stopped_early
  assert (last.best_step, last.improvements) == (10, 1)


def test_an_undefined_loss_does_not_hold_the_plateau():
  last = list(run([0.1] * 3, [math.nan, 1.0, 0.5], plateau_epochs=5))[-1]
  assert (last.lowest_loss, last.epochs_on_plateau) == (0.5, 0)


def test_a_floor_above_the_rate_does_not_raise_it():
  states = list(run([0.1] * 3, plateau_epochs=1, plateau_floor=100.0))
  assert states[-1].plateau_scale == 1


def test_a_phase_that_begins_the_search_anew_has_the_best_epoch():
  rules = Rules('accuracy')
  progress = after_epoch(Progress(), {'accuracy': 0.9, 'loss': 1.0}, 1, rules)
  kept, anew = next_phase(progress, 1), next_phase(progress, 1, forget_best=True)
  assert (kept.best_metric, anew.best_metric) == (0.9, None)
  assert (anew.best_step, anew.improvements) == (1, 1)  # until an epoch is finished
  for step, accuracy in ((2, 0.3), (3, 0.4), (4, 0.35)):
    kept, anew = (
      after_epoch(p, {'accuracy': accuracy, 'loss': 1.0}, step, rules) for p in (kept, anew)
    )
  assert (kept.best_step, kept.improvements) == (1, 1)
  assert (anew.best_step, anew.best_metric, anew.improvements) == (3, 0.4, 3)


def test_survives_json():
  import json

  progress = list(run([0.5, 0.1 + 0.2]))[-1]
  assert Progress(**json.loads(json.dumps(progress.to_json()))) == progress
