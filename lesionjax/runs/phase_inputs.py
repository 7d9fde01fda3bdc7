"""What a phase reads: the weights it starts from, its batches, its validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax.data.records import Split
from lesionjax.data.resample import resample_features, resample_pixels
from lesionjax.generation import generating
from lesionjax.masking import mask_scoring
from lesionjax.runs import assembly, inference, run_data, scoring
from lesionjax.runs.pieces import PhasePieces, Pieces
from lesionjax.training.checkpoints import Checkpoints
from lesionjax.training.mesh import to_host
from lesionjax.training.state import Batch, State


def start_phase(
  pieces: Pieces, phase: PhasePieces, state: State, checkpoints: Checkpoints
) -> State:
  """Returns the state that a later phase starts with.

  Args:
    pieces: of the run.
    phase: the one that starts.
    state: the last of the phase before; its buffers may be given up.
    checkpoints: of the run, for the best epoch.

  Returns:
    The weights that a prediction would use, of the last or of the best epoch, and the head as drawn
    from (seed, phase) where that is asked for; the rest is new.
  """
  mesh, weights = pieces.mesh, state.weights
  if phase.settings.start_from == 'best':
    like = jax.tree.map(
      lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=mesh.replicated), weights
    )
    best_step = checkpoints.best_step
    assert best_step is not None  # a phase has at least one epoch
    weights = checkpoints.restore_weights(best_step, like)
  params = weights['params']
  if phase.settings.reinit_head:
    params = {**params, 'head': _drawn_head(pieces, phase)}
  start = jax.jit(phase.task.start, out_shardings=mesh.replicated)
  return start(params, weights['batch_stats'], state.step)


def _drawn_head(pieces: Pieces, phase: PhasePieces) -> Any:
  """Parameters of a new head, a function of the seed and the number of the phase."""

  def draw(key: jax.Array, batch: Batch) -> Any:
    return phase.task.init(key, batch).params['head']

  key = jax.random.fold_in(pieces.keys[0], phase.index)
  return jax.jit(draw, out_shardings=pieces.mesh.replicated)(key, pieces.batch_like)


class Inputs:
  """Training batches and validation of every phase, from images or from stored features.

  Phases that read other rows, or in another order, have iterators of their own. All of them are
  functions of one number, the position, which they hand on to each other.
  """

  def __init__(self, pieces: Pieces):
    """Opens the images; `images` is the iterator that a checkpoint sets to its position."""
    self._pieces = pieces
    self._pixels = run_data.decoded(pieces.config, pieces.train)
    self._validation_pixels = run_data.decoded(pieces.config, pieces.validation)
    self._resampled: tuple[Any, Any] = (None, None)  # images and labels, kept for later phases
    self._resampled_for: tuple[Any, ...] = ()
    self.images = self._image_batches(pieces.config)
    self._current = self.images
    self._validation: np.ndarray | None = None  # its features, in a phase that stores them

  def close(self) -> None:
    """Closes every iterator."""
    self._leave()
    self.images.close()

  def batches(self, phase: PhasePieces, state: State) -> Any:
    """Returns the training batches of a phase, which begin where those of the last one ended.

    Args:
      phase: its pieces.
      state: at its start or within it; features come from its frozen part.
    """
    self._leave()
    config = phase.settings.config
    if phase.settings.cache_features:
      self._current = self._feature_batches(phase, state)
    elif _reading(config) != _reading(self._pieces.config):
      self._current = self._image_batches(config)
    if self._current is not self.images:
      self._current.set_state(self.images.get_state())
    return self._current

  def _image_batches(self, config: ConfigDict) -> Any:
    pieces = self._pieces
    return run_data.train_batches(config, pieces.train, pieces.mesh, *self._rows(config))

  def _feature_batches(self, phase: PhasePieces, state: State) -> Any:
    pieces, config = self._pieces, phase.settings.config
    pixels, labels = self._rows(config)
    features = self._features(phase, state, pieces.train, pixels, labels)
    pixels = self._validation_pixels
    self._validation = self._features(phase, state, pieces.validation, pixels)
    if labels is None:
      labels = pieces.train.labels
    if config.data.resample != 'none' and config.data.resample_space == 'features':
      features, labels = resample_features(features, labels, *self._resampling(config))
    return run_data.feature_batches(config, features, labels, pieces.mesh)

  def _rows(self, config: ConfigDict) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Images in memory and their labels: None and None where they are the split's."""
    if config.data.resample == 'none' or config.data.resample_space != 'pixels':
      return self._pixels, None
    assert self._pixels is not None  # the configuration was checked
    key, labels = _reading(config), self._pieces.train.labels
    if key[1:] != self._resampled_for:
      self._resampled = resample_pixels(self._pixels, labels, *self._resampling(config))
      self._resampled_for = key[1:]
    return self._resampled

  def _resampling(self, config: ConfigDict) -> tuple[tuple[str, ...], str, int, int]:
    data = config.data
    names = self._pieces.train.class_names
    return names, data.resample, data.resample_neighbours, config.seed

  def _leave(self) -> None:
    if self._current is not self.images:
      self.images.set_state(self._current.get_state())
      self._current.close()
    self._current, self._validation = self.images, None

  def _features(
    self,
    phase: PhasePieces,
    state: State,
    split: Split,
    pixels: np.ndarray | None,
    labels: np.ndarray | None = None,
  ) -> np.ndarray:
    """Pre-logits of a split, float32 [N, D], in the order of its records or of `pixels`."""
    pieces, config = self._pieces, phase.settings.config
    model = assembly.make_model(config, len(pieces.train.class_names))
    predict = inference.compile_predict(assembly.make_eval_step(config, model), pieces.mesh)
    batches = run_data.eval_batches(config, split, pieces.mesh, pixels, labels)
    return inference.predict_batches(predict, state.weights, batches)['pre_logits']

  def validator(
    self, phase: PhasePieces, run_dir: epath.Path
  ) -> Callable[[State], dict[str, float]]:
    """Returns state -> metrics on validation; call it after `batches`.

    Args:
      phase: its pieces.
      run_dir: where a generator's samples go.
    """
    pieces = self._pieces
    if pieces.config.task == 'generate':
      return generating.validator(pieces, phase, run_dir, self._validation_pixels)
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


def _reading(config: ConfigDict) -> tuple[Any, ...]:
  """What decides which image stands where in the stream, and that a phase may change."""
  data = config.data
  resampled = data.resample if data.resample_space == 'pixels' else 'none'
  return data.sampling, resampled, data.resample_neighbours if resampled != 'none' else 0


def _finite(outputs: dict[str, np.ndarray]) -> bool:
  """Whether every image got numbers: from logits, or as a segmenter's outputs tell."""
  finite = np.isfinite(outputs['logits']) if 'logits' in outputs else outputs['finite']
  return bool(finite.all())
