"""Several processes of one run: each computes its share of every batch."""

from __future__ import annotations

import os

import jax

from data_builders.errors import UserError

# The first process measures and writes the report while the others wait to end together with it;
# one that dies is noticed by its heartbeat, long before.
_REPORT_S = 6 * 3600

_VARIABLES = ('JAX_COORDINATOR_ADDRESS', 'JAX_NUM_PROCESSES', 'JAX_PROCESS_ID')


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
      jax.distributed.initialize(
        address, int(count or 0), int(index or 0), shutdown_timeout_seconds=_REPORT_S
      )
    else:
      jax.distributed.initialize(shutdown_timeout_seconds=_REPORT_S)
  except (ValueError, RuntimeError) as error:
    raise UserError(
      f'--distributed: the other processes cannot be found ({str(error).splitlines()[0]}): start '
      f'under Slurm, Kubernetes, Open MPI or on a TPU pod, or set {", ".join(_VARIABLES)}.'
    ) from error
