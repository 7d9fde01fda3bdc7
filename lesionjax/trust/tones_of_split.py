"""The skin tone of every image of a split, on the image as it was taken."""

from __future__ import annotations

from lesionjax.data.records import Split
from lesionjax.evaluation.skin.ita import Tone


def tones_of(split: Split, num_threads: int | None = None) -> list[Tone]:
  """Measures the skin around the lesion of every image.

  Args:
    split: the records; its preprocessing and view of the lesion are not applied.
    num_threads: that measure; None is one a core.

  Returns:
    A Tone for every record, in their order.
  """
  raise NotImplementedError
