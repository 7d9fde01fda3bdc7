"""Several processes of one run: each computes its share of every batch."""

from __future__ import annotations

import os

import jax

from data_builders.errors import UserError

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
      jax.distributed.initialize(address, int(count or 0), int(index or 0))
    else:
      jax.distributed.initialize()
  except (ValueError, RuntimeError) as error:
    raise UserError(
      f'--distributed: the other processes cannot be found ({str(error).splitlines()[0]}): start '
      f'under Slurm, Kubernetes, Open MPI or on a TPU pod, or set {", ".join(_VARIABLES)}.'
    ) from error
