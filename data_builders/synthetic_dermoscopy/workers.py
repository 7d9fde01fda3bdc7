"""Drawing on several cores, with the same results, in the same order, as on one."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from data_builders import pool
from data_builders.synthetic_dermoscopy.photograph import draw_records
from data_builders.synthetic_dermoscopy.plan import Photograph

_FEWER_THAN_THIS_IN_PROCESS = 300
"""Starting workers takes longer than drawing so few photographs."""


class Painters:
  """Worker processes that draw; a context manager, so that they end with the work."""

  def __init__(self, num_photographs: int, num_workers: int | None = None):
    """Decides on the number of processes; starts none yet.

    Args:
      num_photographs: how many there are to draw in all.
      num_workers: processes to draw with; 1 draws in this one; None takes the number of cores
        for large sets and 1 for small ones.
    """
    if num_workers is None and num_photographs < _FEWER_THAN_THIS_IN_PROCESS:
      num_workers = 1
    self._processes = pool.Processes(num_workers)

  def __enter__(self) -> Painters:
    return self

  def __exit__(self, *exception: object) -> None:
    self._processes.__exit__(*exception)

  def draw(
    self, lesions: list[list[Photograph]], side_px: int
  ) -> Iterator[tuple[Photograph, dict[str, bytes]]]:
    """Draws all photographs of all lesions, in their order.

    Args:
      lesions: for each lesion its photographs.
      side_px: side of the images.

    Yields:
      Pairs (photograph, encoded images as `draw_records` returns them). The bytes depend neither
      on the number of workers nor on how lesions are divided among them.
    """
    drawn = self._processes.map(functools.partial(draw_records, side_px=side_px), lesions)
    for shots, records in zip(lesions, drawn, strict=True):
      yield from zip(shots, records, strict=True)
