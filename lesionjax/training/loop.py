"""The training loop. There is one; a new study is a configuration or a new pure function for it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_builders.errors import UserError
from lesionjax.host import compilation
from lesionjax.training.checkpoints import Checkpoints
from lesionjax.training.mesh import Mesh, to_host
from lesionjax.training.progress import Progress, Rules, after_epoch
from lesionjax.training.state import Array, Batch, State, Task
from lesionjax.training.stopping import Interrupted, StopSignal
from lesionjax.training.timing import Clock, Trace
from lesionjax.training.writer import ProgressLine, Writer


@dataclasses.dataclass(frozen=True)
class Plan:
  """How long a phase is and when it speaks, saves and stops; all counts are optimiser steps.

  Steps are counted over the whole run, and a phase is whole epochs, so the first step of one phase
  follows the last of the one before, wherever patience ended that.
  """

  steps_per_epoch: int
  total_steps: int  # the phase ends when the run has made so many
  batch_size: int
  log_every_steps: int
  checkpoint_every_steps: int  # 0 = at the end of every epoch only
  rules: Rules
  class_names: tuple[str, ...]
  profile_dir: str = ''  # where a trace of a few steps goes; '' = no trace
  first_step: int = 0  # steps before the phase
  phase: str = ''  # its name; '' = the run has only one
  class_counts: tuple[int, ...] = ()  # training images of every class

  def due(self, step: int) -> tuple[bool, bool, bool]:
    """Returns whether an epoch ends after `step` steps, and whether to log and to save then."""
    every = self.checkpoint_every_steps
    save = bool(every) and step % every == 0
    return step % self.steps_per_epoch == 0, step % self.log_every_steps == 0, save


def init_state(task: Task, key: Array, batch: dict[str, Any], mesh: Mesh) -> State:
  """Builds the whole state in one jitted call, replicated over the mesh."""
  # One call with out_shardings: pieces made apart would land on the first device only.
  init = jax.jit(task.init, out_shardings=mesh.replicated, compiler_options=compilation.once())
  return init(key, batch)


def train(
  task: Task,
  state: State,
  batches: Iterator[Batch],
  *,
  plan: Plan,
  key: Array,
  mesh: Mesh,
  validate: Callable[[State], dict[str, float]],
  checkpoints: Checkpoints,
  writer: Writer,
  progress: Progress,
) -> tuple[State, Progress]:
  """Trains one phase: until its last step, until patience runs out, or until asked to stop.

  Every random number of a step comes from `fold_in(key, step)`, so nothing random is carried from
  one step to the next and a resumed run repeats exactly. One turn of the loop, kept in one piece to
  be read in one sitting: take the step, say what is due after it, record, validate at the end of
  an epoch, save, stop if asked.

  Args:
    task: its pure functions.
    state: where to start; its buffers are given up.
    batches: endless, on the devices; saved in every checkpoint.
    plan: counts.
    key: root of all randomness of training.
    mesh: where arrays live.
    validate: state -> validation metrics, at the end of every epoch.
    checkpoints: where to save.
    writer: where to record.
    progress: the host's memory, from the checkpoint when resuming.

  Returns:
    The last state and progress.

  Raises:
    Interrupted: after SIGTERM or SIGINT, once the step is finished and saved.
    UserError: when the loss or its gradient is not finite; the last good checkpoint stays.
  """
  step_fn = _compile_step(task, key, mesh)
  step = start = int(state.step)
  writer.phase = plan.phase
  line = ProgressLine(plan.total_steps, plan.batch_size, start, plan.phase)
  clock = Clock(start)
  trace = Trace(plan.profile_dir, first=min(3, plan.total_steps - start - 1))
  pending: list[tuple[int, dict[str, Array]]] = []
  with StopSignal() as stop, trace, contextlib.closing(line):
    while step < plan.total_steps and not progress.stopped_early:
      trace.before(step - start, state)
      state, metrics = step_fn(state, next(batches))
      if step == start:
        line.first(metrics)
      step += 1
      pending.append((step, metrics))

      end_of_epoch, log_due, save_due = plan.due(step)
      stopping = stop.requested(agree=log_due or end_of_epoch)
      save_due |= end_of_epoch or stopping
      if log_due or save_due:
        _record(pending, plan, writer, checkpoints, line, task.advice)
      if end_of_epoch:
        clock.stop_epoch(step, plan.batch_size)
        state, progress = _finish_epoch(task, state, step, plan, progress, validate, writer, clock)
      if save_due:
        progress = _save(state, batches, progress, writer, checkpoints, clock)
      if stopping:
        raise Interrupted(step)
    if stop.requested(agree=True):  # during the last validation
      raise Interrupted(step)
  return state, progress


def _compile_step(task: Task, key: Array, mesh: Mesh) -> Callable[..., Any]:
  """Returns (state, batch) -> (state, metrics), compiled; the state's buffers are given up."""

  def step_fn(state: State, batch: Batch) -> tuple[State, dict[str, Array]]:
    return task.train_step(state, batch, jax.random.fold_in(key, state.step))

  return jax.jit(step_fn, donate_argnums=0, out_shardings=mesh.replicated)


def _record(
  pending, plan: Plan, writer: Writer, checkpoints: Checkpoints, line: ProgressLine, advice: str
) -> None:
  """Writes the metrics of finished steps and shows the last; stops where one is not finite."""
  records = [(step, to_host(metrics)) for step, metrics in pending]
  pending.clear()
  for step, metrics in records:
    values = {name: float(value) for name, value in metrics.items()}
    writer.write('step', step, step / plan.steps_per_epoch, values)
    if not (math.isfinite(values['loss']) and math.isfinite(values['grad_norm'])):
      writer.flush()
      last = checkpoints.last_step
      kept = 'there is no checkpoint yet' if last is None else f'step {last} is kept'
      others = ''.join(
        f', {name} {value}'
        for name, value in values.items()
        if name not in ('loss', 'grad_norm') and not math.isfinite(value)
      )
      raise UserError(
        f'Training stopped: at step {step} the loss is {values["loss"]} and its gradient norm '
        f'{values["grad_norm"]}{others} ({kept}); {advice}, in another --workdir.'
      )
  writer.flush()
  line.show(step, values['loss'], step / plan.steps_per_epoch)


def _save(
  state: State,
  batches: Iterator[Batch],
  progress: Progress,
  writer: Writer,
  checkpoints: Checkpoints,
  clock: Clock,
) -> Progress:
  """Saves a checkpoint, after all records of before, and what the time until now adds up to."""
  writer.flush()
  progress = dataclasses.replace(progress, train_wall_s=progress.train_wall_s + clock.lap())
  checkpoints.save(state, batches, progress)
  return progress


def _finish_epoch(task, state, step, plan: Plan, progress, validate, writer: Writer, clock: Clock):
  """Records training and validation metrics of an epoch, and judges it."""
  epoch = progress.epoch + 1
  summary = task.summarise(to_host(state.tally), plan.class_names)
  writer.write('train', step, epoch, {**summary, **clock.epoch})
  validation = validate(state)
  writer.write('validation', step, epoch, validation)
  progress = after_epoch(progress, validation, step, plan.rules)
  scale = jax.device_put(np.float32(progress.plateau_scale), state.lr_scale.sharding)
  zeros = jax.tree.map(jnp.zeros_like, state.tally)
  return dataclasses.replace(state, lr_scale=scale, tally=zeros), progress
