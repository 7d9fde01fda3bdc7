"""What a phase reads: the weights it starts from, its batches, its validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from data_builders.errors import UserError
from lesionjax import assembly, inference, mask_scoring, run_data, scoring
from lesionjax.data.records import Split
from lesionjax.pieces import PhasePieces, Pieces
from lesionjax.training.checkpoints import Checkpoints
from lesionjax.training.mesh import Mesh, to_host
from lesionjax.training.state import Batch, State


def start_phase(phase: PhasePieces, state: State, checkpoints: Checkpoints, mesh: Mesh) -> State:
  """Returns the state that a later phase starts with.

  Args:
    phase: the one that starts.
    state: the last of the phase before; its buffers may be given up.
    checkpoints: of the run, for the best epoch.
    mesh: where arrays live.

  Returns:
    The weights that a prediction would use, of the last or of the best epoch; the rest is new.
  """
  weights = state.weights
  if phase.settings.start_from == 'best':
    like = jax.tree.map(
      lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=mesh.replicated), weights
    )
    best_step = checkpoints.best_step
    assert best_step is not None  # a phase has at least one epoch
    weights = checkpoints.restore_weights(best_step, like)
  start = jax.jit(phase.task.start, out_shardings=mesh.replicated)
  return start(weights['params'], weights['batch_stats'], state.step)


class Inputs:
  """Training batches and validation of every phase, from images or from stored features."""

  def __init__(self, pieces: Pieces):
    """Opens the images; `images` is the iterator that a checkpoint sets to its position."""
    self._pieces = pieces
    self._pixels = run_data.decoded(pieces.config, pieces.train)
    self._validation_pixels = run_data.decoded(pieces.config, pieces.validation)
    self.images = run_data.train_batches(pieces.config, pieces.train, pieces.mesh, self._pixels)
    self._current = self.images
    self._validation: np.ndarray | None = None  # its features, in a phase that stores them

  def close(self) -> None:
    """Closes every iterator."""
    self._leave_features()
    self.images.close()

  def batches(self, phase: PhasePieces, state: State) -> Any:
    """Returns the training batches of a phase, which begin where those of the last one ended.

    Args:
      phase: its pieces.
      state: at its start or within it; features come from its frozen part.
    """
    self._leave_features()
    if phase.settings.cache_features:
      pieces = self._pieces
      features = self._features(phase, state, pieces.train, self._pixels)
      self._validation = self._features(phase, state, pieces.validation, self._validation_pixels)
      config = phase.settings.config
      cached = run_data.feature_batches(config, features, pieces.train.labels, pieces.mesh)
      cached.set_state(self.images.get_state())
      self._current = cached
    return self._current

  def _leave_features(self) -> None:
    if self._current is not self.images:
      self.images.set_state(self._current.get_state())
      self._current.close()
    self._current, self._validation = self.images, None

  def _features(
    self, phase: PhasePieces, state: State, split: Split, pixels: np.ndarray | None
  ) -> np.ndarray:
    """Pre-logits of a split, float32 [N, D], in the order of its records."""
    pieces, config = self._pieces, phase.settings.config
    model = assembly.make_model(config, len(pieces.train.class_names))
    predict = inference.compile_predict(assembly.make_eval_step(config, model), pieces.mesh)
    batches = run_data.eval_batches(config, split, pieces.mesh, pixels)
    return inference.predict_batches(predict, state.weights, batches)['pre_logits']

  def validator(self, phase: PhasePieces) -> Callable[[State], dict[str, float]]:
    """Returns state -> metrics on validation; call it after `batches`."""
    pieces = self._pieces
    predict = inference.compile_predict(phase.task.eval_step, pieces.mesh)
    stored: Batch = {}
    if self._validation is not None:
      values = {'features': self._validation, 'valid': np.ones(len(self._validation), bool)}
      stored = {
        name: jax.make_array_from_process_local_data(pieces.mesh.replicated, value)
        for name, value in values.items()
      }

    def validate(state: State) -> dict[str, float]:
      """Metrics of the weights that a prediction would use; refuses outputs that are no numbers."""
      batches = (
        iter([stored])
        if stored
        else run_data.eval_batches(
          pieces.config, pieces.validation, pieces.mesh, self._validation_pixels
        )
      )
      outputs = inference.predict_batches(predict, state.weights, batches)
      if not _finite(outputs):
        raise UserError(
          f'Training stopped: after step {int(to_host(state.step))} the outputs on validation are '
          'not finite; lower config.optimiser.learning_rate or set config.train.clip_norm, in '
          'another --workdir.'
        )
      if 'mask' in outputs:
        return mask_scoring.validation_metrics(outputs)
      names = pieces.train.class_names
      return scoring.validation_metrics(pieces.validation, outputs['logits'], names)

    return validate


def _finite(outputs: dict[str, np.ndarray]) -> bool:
  """Whether every image got numbers: from logits, or as a segmenter's outputs tell."""
  finite = np.isfinite(outputs['logits']) if 'logits' in outputs else outputs['finite']
  return bool(finite.all())
