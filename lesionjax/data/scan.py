"""One pure function over every image of a split, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from lesionjax.data.records import Split

T = TypeVar('T')


def map_images(function: Callable[[np.ndarray], T], split: Split, size_px: int) -> list[T]:
  """Decodes every image once and applies a function.

  Args:
    function: of uint8 [size_px, size_px, 3], RGB.
    split: the records.
    size_px: side to which they are resized.

  Returns:
    Its N results, in the order of the records. Images are not kept.
  """
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    return list(pool.map(lambda i: function(split.decode(i, size_px)), range(len(split))))
