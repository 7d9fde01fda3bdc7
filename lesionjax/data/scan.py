"""One pure function over every image of a split, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from lesionjax.data.decode import Size
from lesionjax.data.records import Split

T = TypeVar('T')


def map_images(function: Callable[[np.ndarray], T], split: Split, size_px: Size) -> list[T]:
  """Decodes every image once and applies a function.

  Args:
    function: of what `Split.decode` returns.
    split: the records.
    size_px: side, or height and width, to which they are resized.

  Returns:
    Its N results, in the order of the records. Images are not kept.
  """
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    return list(pool.map(lambda i: function(split.decode(i, size_px)), range(len(split))))
