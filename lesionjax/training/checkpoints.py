"""Orbax checkpoints: the last one and the best one, with the data iterator inside."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
from etils import epath
from orbax.checkpoint import v1 as ocp

from data_builders.errors import UserError
from lesionjax.training.progress import Progress
from lesionjax.training.state import State

_policies = ocp.training.preservation_policies


class Checkpoints:
  """The checkpoints of one run directory; a context manager.

  Weights and the rest of the state are stored apart, so that a prediction reads weights only.
  Orbax writes into a temporary folder and renames: a killed save leaves the one before.
  """

  def __init__(self, run_dir: epath.PathLike):
    """Opens or creates `run_dir/checkpoints`."""
    self._directory = epath.Path(run_dir) / 'checkpoints'
    # A checkpoint carries a rank only when it was the best so far: the highest rank is the best.
    best = _policies.BestN(
      get_metric_fn=lambda metrics: metrics['rank'], n=1, keep_checkpoints_without_metrics=False
    )
    # Orbax declares its own policies against a protocol that they do not match.
    keep: Any = _policies.AnyPreservationPolicy([_policies.LatestN(1), best])
    self._checkpointer = ocp.training.Checkpointer(self._directory, preservation_policy=keep)

  def __enter__(self) -> Checkpoints:
    return self

  def __exit__(self, kind: object, *rest: object) -> None:
    try:
      self._checkpointer.close()
    except (OSError, ValueError):  # a failed save is told again
      if kind is None:
        raise

  @property
  def last_step(self) -> int | None:
    """Step of the newest checkpoint; None before the first."""
    latest = self._checkpointer.latest
    return None if latest is None else latest.step

  @property
  def best_step(self) -> int | None:
    """Step of the best checkpoint; None before the first finished epoch."""
    found: list[Any] = [saved for saved in self._checkpointer.checkpoints if saved.metrics]
    ranks = {saved.step: saved.metrics['rank'] for saved in found}
    return max(ranks, key=lambda step: ranks[step]) if ranks else None

  def save(self, state: State, data: Any, progress: Progress) -> None:
    """Writes a checkpoint and waits for it; one that this step has already stays.

    Raises:
      UserError: when the disk is full, read-only or not ours; the checkpoint before stays.
    """
    step = int(state.step)
    if self.last_step == step:
      return
    with _disk_errors(self._directory):
      self._checkpointer.save_checkpointables(
        step,
        {'weights': _weights(state), 'rest': _rest(state), 'data': data},
        force=True,
        metrics={'rank': progress.improvements} if progress.best_step == step else None,
        custom_metadata=progress.to_json(),
      )

  def progress(self, step: int) -> Progress:
    """Returns the host's memory as saved at `step`."""
    saved: Any = self._checkpointer.metadata(step).custom_metadata
    return Progress.from_json(saved)

  def restore(self, step: int, like: State, data: Any) -> State:
    """Reads the whole state and sets the data iterator.

    Args:
      step: which checkpoint.
      like: a state of the wanted shapes and shardings.
      data: the iterator that is set to the saved position.

    Returns:
      The state.

    Raises:
      UserError: when the checkpoint has other shapes, or was saved by more or fewer processes.
    """
    wanted = {'weights': _abstract(_weights(like)), 'rest': _abstract(_rest(like))}
    self._check(step, wanted)
    self._check_processes(step)
    found = self._checkpointer.load_checkpointables(step, {**wanted, 'data': data})
    return dataclasses.replace(like, **found['weights'], **found['rest'])

  def restore_weights(self, step: int, like: dict[str, Any]) -> dict[str, Any]:
    """Reads what a prediction needs.

    Args:
      step: which checkpoint.
      like: shapes and shardings of `params` and, where the model has them, `batch_stats`.

    Returns:
      params (the averaged ones where the run keeps an average) and batch_stats.

    Raises:
      UserError: when the checkpoint has other shapes.
    """
    params, stats = like['params'], like.get('batch_stats', {})
    ema = params if self._stored(step, 'weights')['ema'] else {}
    wanted = {'weights': {'params': params, 'batch_stats': stats, 'ema': ema}}
    self._check(step, wanted)
    found = self._checkpointer.load_checkpointables(step, wanted)['weights']
    return {'params': found['ema'] or found['params'], 'batch_stats': found['batch_stats']}

  def _stored(self, step: int, name: str) -> Any:
    return ocp.metadata(self._directory / str(step), checkpointable_name=name).metadata

  def _check(self, step: int, wanted: dict[str, Any]) -> None:
    for name, tree in wanted.items():
      ours, theirs = shapes(tree), shapes(self._stored(step, name))
      for key in sorted({*ours, *theirs}):
        if ours.get(key) != theirs.get(key):
          raise UserError(
            f'The checkpoint {self._directory / str(step)} does not fit this configuration: '
            f'{name}/{key} has shape {theirs.get(key, "(absent)")} there and '
            f'{ours.get(key, "(absent)")} here; use the configuration that made it or another '
            '--workdir.'
          )

  def _check_processes(self, step: int) -> None:
    # Grain keeps the iterator of every process in a file of its own.
    folder, now = self._directory / str(step) / 'data', jax.process_count()
    found = [path.stem.rsplit('-', 1)[-1] for path in folder.glob('process_*-of-*.json')]
    if found and str(now) not in found:
      raise UserError(
        f'The checkpoint {folder.parent} was saved by {found[0]} process(es) and this start has '
        f'{now}: start as many as before, or use another --workdir.'
      )


@contextmanager
def _disk_errors(directory: epath.Path) -> Iterator[None]:
  """Turns what a disk refuses into one sentence."""
  try:
    yield
  except (OSError, ValueError) as error:
    # TensorStore raises a ValueError with the system's words and code at the end of its message.
    told = re.search(r'([^:]*) \[os_error_code', str(error))
    if not told and not isinstance(error, OSError):
      raise
    reason = told[1].strip() if told else getattr(error, 'strerror', None) or error
    raise UserError(
      f'{directory} cannot be written ({reason}): free the disk or make it writable, then run the '
      'same command again; the last whole checkpoint is kept.'
    ) from error


def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
  """Returns {path with slashes: shape} of every array in a tree."""
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {_path(path): tuple(leaf.shape) for path, leaf in leaves}


def _path(path: tuple[Any, ...]) -> str:
  # Named tuples (optax) come back from the metadata as dictionaries or lists: compare by name.
  return '/'.join(
    str(getattr(key, 'key', getattr(key, 'name', getattr(key, 'idx', key)))) for key in path
  )


def _abstract(tree: Any) -> Any:
  return jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree
  )


def _weights(state: State) -> dict[str, Any]:
  return {'params': state.params, 'batch_stats': state.batch_stats, 'ema': state.ema}


def _rest(state: State) -> dict[str, Any]:
  names = ('step', 'opt_state', 'lr_scale', 'tally')
  return {name: getattr(state, name) for name in names}
