"""The weights that a run starts from: drawn, another run's, or ImageNet's."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax.config import image_size
from lesionjax.models import find_model, pretrained
from lesionjax.models.segmentation.table import encoder_of
from lesionjax.runs import assembly, inference, run_directory
from lesionjax.runs.pieces import Pieces
from lesionjax.training.checkpoints import shapes
from lesionjax.training.state import State

_ENCODER = 'encoder'  # where a segmenter keeps a classifier's backbone


def check(pieces: Pieces) -> None:
  """Refuses weights that cannot be had or do not fit, before a directory is claimed."""
  config = pieces.config
  if config.init_from and not config.model.pretrained:
    like = jax.eval_shape(pieces.task.init, pieces.keys[0], pieces.batch_like)
    _check_run(pieces, like)
  if not config.model.pretrained:
    return
  if config.init_from:
    raise UserError(
      f'config.init_from={config.init_from!r} and config.model.pretrained='
      f'{config.model.pretrained!r} both say where weights come from: leave one empty.'
    )
  name = _pretrained_name(config)
  wanted = find_model(name).pretrained
  given = (tuple(config.normalise.mean), tuple(config.normalise.std))
  if wanted is not None and given != (wanted.mean, wanted.std):
    raise UserError(
      f'config.normalise has mean {given[0]} and std {given[1]}, but the weights of'
      f' {name} were trained with {wanted.mean} and {wanted.std}: set these.'
    )
  drawn = jax.eval_shape(pieces.task.init, pieces.keys[0], pieces.batch_like)
  try:
    pretrained.initialise(name, config.model.pretrained, _backbone(config, drawn), _reinit(config))
  except UserError as error:
    raise UserError(f'config.model.pretrained={config.model.pretrained!r}: {error}') from error


def begin(pieces: Pieces, state: State) -> State:
  """Returns the state that a new run starts with.

  Args:
    pieces: of the run.
    state: freshly drawn.

  Raises:
    UserError: the weights that the configuration names cannot be had or do not fit.
  """
  if pieces.config.init_from:
    return _from_run(pieces, state)
  if pieces.config.model.pretrained:
    return _from_pretrained(pieces, state)
  return state


def _from_pretrained(pieces: Pieces, state: State) -> State:
  """Starts from ImageNet's weights; what is re-initialised stays as it was drawn."""
  config = pieces.config
  name = _pretrained_name(config)
  found, summary = pretrained.initialise(
    name, config.model.pretrained, _backbone(config, state), _reinit(config)
  )
  if jax.process_index() == 0:
    print(f'{name} from {config.model.pretrained}: {summary}')
  params, batch_stats = found['params'], found.get('batch_stats', {})
  if config.task == 'segment':
    params = {**state.params, _ENCODER: params}
    batch_stats = {**state.batch_stats, _ENCODER: batch_stats} if batch_stats else state.batch_stats
  return _with_weights(pieces, state, params, batch_stats)


def _pretrained_name(config: ConfigDict) -> str:
  """The classifier whose weights are meant: the model, or what a segmenter has as its encoder."""
  if config.task != 'segment':
    return config.model.name
  found = encoder_of(config.model.name, config.model.arguments)
  if not found:
    raise UserError(
      f'config.model.pretrained={config.model.pretrained!r} has no effect with config.model.name='
      f'{config.model.name!r}, whose encoder is its own: leave it empty, or take unet_encoder.'
    )
  return found


def _backbone(config: ConfigDict, state: Any) -> dict[str, Any]:
  """Variables, or their shapes, that take weights: of a classifier or a segmenter's encoder."""
  found = {'params': state.params, 'batch_stats': state.batch_stats}
  if config.task == 'segment':
    found = {kind: tree.get(_ENCODER, {}) for kind, tree in found.items()}
  return {kind: tree for kind, tree in found.items() if tree}


def _reinit(config: ConfigDict) -> tuple[str, ...]:
  """Modules that stay as drawn; an encoder has no head."""
  parts = tuple(config.model.reinit)
  return parts if config.task != 'segment' else tuple(part for part in parts if part != 'head')


def _from_run(pieces: Pieces, state: State) -> State:
  """Starts from another run's best weights, with the head that the configuration says."""
  config, source = pieces.config, pieces.config.init_from
  source_config = run_directory.read_config(source)
  model = assembly.make_model(source_config, len(run_directory.class_names(source)))
  size_px = image_size(source_config)
  found = inference.restore_best(source, model, size_px, pieces.mesh.replicated)
  params = dict(found['params'])
  if config.init_head == 'reinit':
    params['head'] = state.params['head']
  return _with_weights(pieces, state, params, found['batch_stats'])


def _check_run(pieces: Pieces, state: Any) -> None:
  """Refuses a run with another network, or with other classes where its head is kept."""
  config, names = pieces.config, pieces.train.class_names
  source = config.init_from
  theirs = run_directory.class_names(source)
  if not run_directory.has_begun(run_directory.locate(source)):
    raise UserError(f'config.init_from={source} has no checkpoint: train it first.')
  if config.init_head == 'keep' and theirs != names:
    raise UserError(
      f"config.init_head='keep': the run {source} has the classes {', '.join(theirs)} and this one "
      f"{', '.join(names)}; use config.init_head='reinit'."
    )
  source_config = run_directory.read_config(source)
  model = assembly.make_model(source_config, len(theirs))
  found = inference.shapes_of(model, image_size(source_config))
  params = dict(found['params'])
  if config.init_head == 'reinit':
    params['head'] = state.params['head']
  ours = shapes({'params': state.params, 'batch_stats': state.batch_stats})
  given = shapes({'params': params, 'batch_stats': found.get('batch_stats', {})})
  for key in sorted({*ours, *given}):
    if ours.get(key) != given.get(key):
      raise UserError(
        f'config.init_from={source} does not fit config.model.name={config.model.name!r}: {key} '
        f'has shape {given.get(key, "(absent)")} there and {ours.get(key, "(absent)")} here.'
      )


def _with_weights(pieces: Pieces, state: State, params: Any, batch_stats: Any) -> State:
  placed = jax.device_put((params, batch_stats), pieces.mesh.replicated)
  # A copy: the step gives its buffers up, and the average must not share them.
  ema = jax.tree.map(lambda leaf: leaf.copy(), placed[0]) if state.ema else state.ema
  return dataclasses.replace(state, params=placed[0], batch_stats=placed[1], ema=ema)
