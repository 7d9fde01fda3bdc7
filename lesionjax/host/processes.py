"""Several processes of one run: each computes its share of every batch."""

from __future__ import annotations

import itertools
import os

import jax
from orbax.checkpoint import multihost

from data_builders.errors import UserError

_VARIABLES = ('JAX_COORDINATOR_ADDRESS', 'JAX_NUM_PROCESSES', 'JAX_PROCESS_ID')
_LONGEST_S = 6 * 3600
_calls = itertools.count()


def start() -> None:
  """Joins this process to the others of the run; call before any array is made.

  Slurm, Kubernetes, Open MPI and TPU pods are detected by JAX. Elsewhere every process is given
  JAX_COORDINATOR_ADDRESS (host:port of the first), JAX_NUM_PROCESSES and JAX_PROCESS_ID.

  Raises:
    UserError: when the others cannot be found.
  """
  given = [os.environ.get(name) for name in _VARIABLES]
  try:
    if all(given):
      address, count, index = given
      jax.distributed.initialize(address, int(count or 0), int(index or 0))
    else:
      jax.distributed.initialize()
  except (ValueError, RuntimeError) as error:
    raise UserError(
      f'--distributed: the other processes cannot be found ({str(error).splitlines()[0]}): start '
      f'under Slurm, Kubernetes, Open MPI or on a TPU pod, or set {", ".join(_VARIABLES)}.'
    ) from error


def wait_for_all(name: str) -> None:
  """Waits until every process of the run is here; returns at once where there is only one.

  Without it a process that is done early ends early, and JAX gives a run up whose processes end
  more than five minutes apart. One that dies meanwhile is noticed by its heartbeat.

  Args:
    name: of the place, for JAX's own messages; all processes pass the same places in turn.
  """
  barrier = multihost.get_barrier_sync_fn()
  barrier(key=f'lesionjax.{name}.{next(_calls)}', timeout_ms=_LONGEST_S * 1000)
