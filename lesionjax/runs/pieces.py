"""The pieces of a training run, checked before anything is written, and those of each phase."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.data import synthetic
from lesionjax.data.datasets import preprocessing_of
from lesionjax.data.records import Split
from lesionjax.data.resample import check_counts
from lesionjax.evaluation.metrics import point_metrics
from lesionjax.generation import gan_config
from lesionjax.masking import mask_scoring
from lesionjax.runs.assembly import make_model, make_plan, make_prepare, make_task
from lesionjax.runs.phases import Phase, phases_of, trainable_paths
from lesionjax.runs.run_data import ensure_data, open_data, open_training_data
from lesionjax.training import imbalance
from lesionjax.training.loop import Plan
from lesionjax.training.mesh import Mesh, check_batch, make_mesh
from lesionjax.training.progress import Progress, next_phase
from lesionjax.training.state import Task


def check_selection(metric: str, split: Split, config: ConfigDict) -> None:
  """Refuses a selection metric that validation does not measure."""
  names = split.class_names
  if config.task == 'generate':
    allowed = gan_config.validation_metrics(config)
  elif config.task == 'segment':
    allowed = set(mask_scoring.VALIDATION_METRICS)
  else:
    uniform = np.full((len(split), len(names)), 1 / len(names))
    allowed = {'loss', *point_metrics(split.labels, uniform, names)}
  if metric not in allowed:
    if config.task == 'generate' and metric in gan_config.JUDGED:
      raise UserError(
        f'config.select.metric={metric!r} is measured by a judge: name the run of a classifier with'
        ' config.gan.judge.'
      )
    raise UserError(f'config.select.metric={metric!r} is not one of {", ".join(sorted(allowed))}.')


def _check_masks(config: ConfigDict, train: Split, validation: Split) -> None:
  """Refuses data without the masks that they are seen by; those of a first stage come later.

  Raises:
    UserError: as `Split.check_masks`.
  """
  if config.segmenter is not None:
    return
  train.check_masks()
  validation.check_masks()
  if validation.with_masks or validation.lesion.needs_mask:
    open_data(config, config.data.test_split).check_masks()


@dataclasses.dataclass(frozen=True)
class PhasePieces:
  """What one phase is put together from."""

  settings: Phase
  plan: Plan
  task: Task
  index: int
  is_last: bool

  def finished(self, step: int, progress: Progress) -> bool:
    """Whether the phase has made its last step, of which the run has made `step`."""
    return step >= self.plan.total_steps or progress.stopped_early


@dataclasses.dataclass(frozen=True)
class Pieces:
  """What a training run is put together from."""

  config: ConfigDict
  mesh: Mesh
  train: Split
  validation: Split
  phases: tuple[Phase, ...]
  trainable: tuple[frozenset[str] | None, ...]  # of every phase; None is all parameters
  profile_dir: str = ''

  @classmethod
  def of(cls, config: ConfigDict, profile_dir: str = '') -> Pieces:
    """Checks the configuration and assembles everything; writes nothing into a run."""
    config_lib.validate(config)
    phases = phases_of(config)
    mesh = make_mesh(config.num_devices)
    check_batch('train.batch_size', config.train.batch_size, mesh, config.train.accumulate)
    check_batch('evaluate.batch_size', config.evaluate.batch_size, mesh)
    for phase in phases:
      make_prepare(phase.config)
    model = make_model(config, 2)  # a misspelt model is told before data are built
    trainable = tuple(trainable_paths(phase, model) for phase in phases)
    if config.data.synthetic:  # told before data are built, which may take long
      synthetic.open_generated(config.data.synthetic)
    ensure_data(config)
    train = open_training_data(config)
    validation = open_data(config, config.data.validation_split)
    check_selection(config.select.metric, validation, config)
    for phase in phases:
      data = phase.config.data
      check_counts(train.labels, train.class_names, data.resample, data.resample_neighbours)
    _check_masks(config, train, validation)
    if config.data.synthetic:
      ours = preprocessing_of(config.data.name, config.data.preprocess)
      synthetic.check_alike(config.data.synthetic, ours, max(config_lib.image_size(config)))
    if config.task == 'generate':
      counts = np.bincount(train.labels, minlength=len(train.class_names))
      imbalance.check_counts(counts.tolist(), train.class_names, "config.task='generate'", '')
    pieces = cls(config, mesh, train, validation, phases, trainable, profile_dir)
    pieces._rehearse()
    return pieces

  def _rehearse(self) -> None:
    """Traces the network in every phase, so that mistakes are told before a directory is made."""
    name, arguments = self.config.model.name, self.config.model.arguments.to_dict()
    for index in range(len(self.phases)):
      task = self.phase(Progress(phase=index)).task
      try:
        jax.eval_shape(task.init, self.keys[0], self.batch_like)
      except UserError as error:
        height, width = config_lib.image_size(self.config)
        size = f'size_px={width}' if height == width else f'{width}x{height}'
        raise UserError(f'config.model.name={name!r} at config.data.{size}: {error}') from error
      except (TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        reason = str(error).partition('\n')[0]
        raise UserError(
          f'config.model.name={name!r} cannot be built with config.model.arguments={arguments}'
          f' ({reason}): correct or leave out what is wrong.'
        ) from error

  def after(self, progress: Progress, step: int) -> Progress:
    """Returns the progress at the start of the phase that follows the progress's own."""
    is_last = progress.phase + 1 == len(self.phases) - 1
    return next_phase(progress, step, is_last and self.config.select.phase == 'last')

  def phase(self, progress: Progress) -> PhasePieces:
    """Assembles the phase that the progress says."""
    index, first_step = progress.phase, progress.phase_step
    settings, trainable = self.phases[index], self.trainable[index]
    plan = make_plan(settings.config, self.train, self.profile_dir, first_step, settings.name)
    task = make_task(settings, len(self.train.class_names), plan, trainable)
    return PhasePieces(settings, plan, task, index, index == len(self.phases) - 1)

  @property
  def plan(self) -> Plan:
    """Counts of the first phase."""
    return self.phase(Progress()).plan

  @property
  def task(self) -> Task:
    """Task of the first phase."""
    return self.phase(Progress()).task

  @property
  def keys(self) -> tuple[jax.Array, jax.Array]:
    """Keys of the initial weights and of training."""
    init_key, train_key = jax.random.split(jax.random.key(self.config.seed))
    return init_key, train_key

  @property
  def batch_like(self) -> dict[str, np.ndarray]:
    """A batch of one black image: only its shape matters to `init`."""
    return {
      'image': np.zeros((1, *config_lib.image_size(self.config), self.train.channels), np.uint8),
      'label': np.zeros(1, np.int32),
    }
