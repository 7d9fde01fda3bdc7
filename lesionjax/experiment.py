"""Training a run, and writing masks with one: each composes the rooms of the house."""

from __future__ import annotations

import contextlib
import dataclasses
import time

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax.evaluating import evaluate
from lesionjax.host import environment, files
from lesionjax.masking import cross_fitting, mask_writing
from lesionjax.runs import held_out, run_data, run_directory, starting, two_stage
from lesionjax.runs.phase_inputs import Inputs, start_phase
from lesionjax.runs.pieces import Pieces
from lesionjax.training.checkpoints import Checkpoints
from lesionjax.training.loop import init_state
from lesionjax.training.loop import train as run_loop
from lesionjax.training.progress import Progress
from lesionjax.training.writer import Writer


def train(config: ConfigDict, workdir: str, profile: bool = False) -> str:
  """Trains, or carries on; evaluates the best checkpoint; writes the report.

  Args:
    config: the complete configuration.
    workdir: the run's directory; one that is this configuration's already is resumed.
    profile: whether to write a trace of a few steps to `workdir/profile`.

  Returns:
    The path of report.html.

  Raises:
    UserError: on a mistake in configuration, data or directory.
    Interrupted: when asked to stop; the state is saved.
  """
  run_dir = run_directory.locate(workdir)
  environment.code_commit()  # of the code as it starts, whatever changes while it trains
  run_directory.check(run_dir, config)
  two_stage.check(config)
  held_out.check_geometry(config)
  stored, config = config, two_stage.resolve(config, run_dir)
  if config.segmenter is not None:  # its mistakes are told before a directory is made
    Pieces.of(two_stage.segmenter_config(config))
  pieces = Pieces.of(config, str(run_dir / 'profile') if profile else '')
  held_out.check(pieces)
  if not run_directory.has_begun(run_dir):  # a run that is carried on needs no initialiser
    starting.check(pieces)
  data = run_data.describe_data(config) | run_data.describe_synthetic(config)
  if stored.segmenter is None or two_stage.has_masks(run_dir):
    data |= run_data.describe_masks(config)
  run_directory.refuse_other_data(run_dir, data)
  if jax.process_index() == 0:
    run_directory.claim(run_dir, stored)
  with run_directory.hold(run_dir):
    if stored.segmenter is not None:
      train(two_stage.segmenter_config(config), str(run_dir / two_stage.SEGMENTER))
      two_stage.write_masks(config, run_dir)
      held_out.check_masks(pieces)
      data |= run_data.describe_masks(config)
    if jax.process_index() == 0:
      files.write_json(run_dir / 'data.json', data)
      masks = config.data.lesion_masks if 'masks' in data else ''
      ancestors = (config.init_from, masks, config.data.synthetic)
      run_directory.remember_seen(run_dir, pieces.train, *ancestors)
    progress = _train(pieces, run_dir)
    return evaluate(workdir, train_wall_s=progress.train_wall_s)


def _train(pieces: Pieces, run_dir: epath.Path) -> Progress:
  """Runs the loop, phase after phase, from where the directory's last checkpoint left it."""
  init_key, train_key = pieces.keys
  with Checkpoints(run_dir) as checkpoints, contextlib.closing(Inputs(pieces)) as inputs:
    step = checkpoints.last_step
    progress = Progress() if step is None else checkpoints.progress(step)
    phase = pieces.phase(progress)
    state = init_state(phase.task, init_key, pieces.batch_like, pieces.mesh)
    if step is not None:
      state = checkpoints.restore(step, state, inputs.images)
    else:
      state = starting.begin(pieces, state)
    with contextlib.closing(Writer(run_dir, resume_step=step or 0)) as writer:
      while True:
        if not phase.finished(int(state.step), progress):
          if jax.process_index() == 0:  # of an evaluation half way
            (run_dir / 'environment.json').unlink(missing_ok=True)
          start = time.perf_counter()
          batches, validate = inputs.batches(phase, state), inputs.validator(phase, run_dir)
          # Where a phase stores features, this is most of the work of its training.
          spent = progress.train_wall_s + time.perf_counter() - start
          progress = dataclasses.replace(progress, train_wall_s=spent)
          state, progress = run_loop(
            phase.task,
            state,
            batches,
            plan=phase.plan,
            key=train_key,
            mesh=pieces.mesh,
            validate=validate,
            checkpoints=checkpoints,
            writer=writer,
            progress=progress,
          )
        if phase.is_last:
          return progress
        progress = pieces.after(progress, int(state.step))
        phase = pieces.phase(progress)
        state = start_phase(pieces, phase, state, checkpoints)


def masks(workdir: str, data: str, out: str, data_dir: str = '', cross_fit: int = 0) -> str:
  """Writes the lesion masks of every image of a data set.

  Args:
    workdir: of a trained segmenter; '' takes Otsu's threshold.
    data: prepared data set, NAME or NAME/CONFIG; its validation and test images must be new to the
      segmenter where a classifier is to be judged on them.
    out: folder for the masks and their index.
    data_dir: where the data lie, if not where the run found its own.
    cross_fit: K > 1 trains K more segmenters, each without a part of the training images, which
      get their masks from it: masks of images that a segmenter has learned are too good.

  Returns:
    The path of the index.

  Raises:
    UserError: on a mistake in run, data or folder.
    Interrupted: when asked to stop while a part trains; its state is saved.
  """
  if cross_fit and not workdir:
    raise UserError(f'--cross_fit={cross_fit} trains segmenters: give --workdir of the first.')
  mask_writing.check(out, data, data_dir, workdir, bool(cross_fit))  # before anything is trained
  fold_runs = _train_parts(workdir, data_dir, cross_fit) if cross_fit else []
  return mask_writing.write(out, data, data_dir, workdir, fold_runs)


def _train_parts(workdir: str, data_dir: str, count: int) -> list[tuple[str, tuple[int, ...]]]:
  """Trains segmenters without a part of the training folds each; returns (run, folds) pairs."""
  config = run_directory.read_config(workdir)
  config.data.data_dir = data_dir or config.data.data_dir
  folds = np.unique(run_data.open_training_data(config).folds)  # what the first has seen
  runs = []
  for number, part in enumerate(cross_fitting.parts_of(folds.tolist(), count)):
    place = str(run_directory.locate(workdir) / f'cross_fit_{count}' / f'part_{number}')
    train(cross_fitting.fold_config(config, part), place)
    runs.append((place, part))
  return runs
