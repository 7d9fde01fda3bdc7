"""Devices: one `data` axis over which the batch is split; everything else is replicated."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from data_builders.errors import UserError


class Mesh(NamedTuple):
  """Where arrays live.

  Attributes:
    replicated: sharding of the state, the same on every device.
    batch: sharding of a batch over its first axis.
    num_devices: devices over all processes.
  """

  replicated: NamedSharding
  batch: NamedSharding
  num_devices: int


def make_mesh(num_devices: int = 0) -> Mesh:
  """Builds the mesh over the first devices of every process.

  Args:
    num_devices: over all processes; 0 takes every device there is.

  Returns:
    The Mesh.

  Raises:
    UserError: when there are fewer devices, or several processes would share unequally.
  """
  available = jax.device_count()
  if num_devices > available or (num_devices and num_devices % jax.process_count()):
    raise UserError(
      f'config.num_devices={num_devices} must be at most {available}, the devices of '
      f'{jax.process_count()} process(es) on {jax.default_backend()}, and split evenly over them.'
    )
  count = num_devices or available
  share = count // jax.process_count()
  devices = [d for p in range(jax.process_count()) for d in _of_process(p)[:share]]
  # Auto, not the newer Explicit default: flax.linen does not annotate its operations.
  mesh = jax.make_mesh((count,), ('data',), axis_types=(AxisType.Auto,), devices=devices)
  return Mesh(
    NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec('data')), count
  )


def _of_process(process: int) -> list[Any]:
  return [device for device in jax.devices() if device.process_index == process]


def check_batch(key: str, batch_size: int, mesh: Mesh, accumulate: int = 1) -> None:
  """Refuses a batch that the devices cannot share evenly.

  Args:
    key: the configuration key, for the message.
    batch_size: over all devices.
    mesh: the devices.
    accumulate: micro-batches of a step.

  Raises:
    UserError: naming the key and a batch size that works.
  """
  unit = mesh.num_devices * accumulate
  if batch_size % unit:
    raise UserError(
      f'config.{key}={batch_size} must be a multiple of {unit} ({mesh.num_devices} devices x '
      f'{accumulate} micro-batches): use {max(unit, batch_size // unit * unit)}, or fewer devices '
      'with config.num_devices.'
    )


def to_host(tree: Any) -> Any:
  """Returns a replicated tree as NumPy arrays, from one device and without collectives."""
  return jax.tree.map(lambda leaf: np.asarray(leaf.addressable_data(0)), tree)
